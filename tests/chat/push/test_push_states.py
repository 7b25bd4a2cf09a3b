"""What devices do: what they said of their screens, joined with what is known of their connections."""

from collections.abc import Collection, Mapping

from chat.push.policy import DeviceState
from chat.push.states import ConnectedDevices, ScreenStates
from chat.usecases.clientstates import OnScreen
from realtime.ports import DeviceConnection
from storage.model.device import device_id

PHONE, DESK = device_id("ada", "phone"), device_id("ada", "desk")


class Said:
    def __init__(self, screens: Mapping[str, OnScreen]) -> None:
        self.screens = screens

    async def of_users(self, users: Collection[str]) -> Mapping[str, Mapping[str, OnScreen]]:
        return dict.fromkeys(users, self.screens)


class Known:
    async def of(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        return {"desk": DeviceState(connected=True, confirmed=7), "phone": DeviceState(disconnected_at=5, confirmed=3)}


async def test_a_device_that_spoke_lately_is_connected_and_views_what_it_says() -> None:
    states = ScreenStates(Said({"phone": OnScreen(False), "desk": OnScreen(True, "here")}))
    assert await states.of("ada", "here") == {
        PHONE: DeviceState(connected=True),
        DESK: DeviceState(connected=True, foreground=True, viewing=True),
    }
    assert (await states.of("ada", "elsewhere"))[DESK] == DeviceState(connected=True, foreground=True)


async def test_what_a_connection_that_has_ended_said_last_does_not_count() -> None:
    states = ScreenStates(Said({"phone": OnScreen(True, "here")}), Known())
    assert await states.of("ada", "here") == {
        PHONE: DeviceState(disconnected_at=5, confirmed=3),
        DESK: DeviceState(connected=True, confirmed=7),
    }


class Connections:
    async def of_users(self, users: Collection[str]) -> Mapping[str, Mapping[str, DeviceConnection]]:
        return {user: {"desk": DeviceConnection(None, {"here": 7}), "phone": DeviceConnection(5, {})} for user in users}


async def test_what_a_device_has_confirmed_is_told_for_the_conversation() -> None:
    devices = ConnectedDevices(Connections())
    phone = DeviceState(disconnected_at=5)
    assert await devices.of("ada", "here") == {"desk": DeviceState(connected=True, confirmed=7), "phone": phone}
    assert await devices.of("ada", "elsewhere") == {"desk": DeviceState(connected=True), "phone": phone}
