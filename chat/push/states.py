"""What devices do just now, from what they said of their screens.

A device that has said something in the last minute counts as connected. What it has confirmed is told by `Confirmed`,
where this deployment knows it: without that, whoever looks at the app is rung after the time for confirming is over.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from chat.push.policy import DeviceState
from chat.usecases.clientstates import OnScreen
from storage.model.device import device_id


class Screens(Protocol):
    """See `chat.usecases.clientstates.ClientStates`."""

    async def of_users(self, users: Collection[str]) -> Mapping[str, Mapping[str, OnScreen]]:
        """By user and the name of the device. Raises ConnectionError or TimeoutError."""


class Confirmed(Protocol):
    """What is known of devices' connections."""

    async def of(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        """`connected`, `confirmed` and `disconnected_at` by the name of the device. Raises ConnectionError or
        TimeoutError.
        """


class ScreenStates:
    """Implements `States` of ports.py."""

    def __init__(self, screens: Screens, confirmed: Confirmed | None = None) -> None:
        self._screens = screens
        self._confirmed = confirmed

    async def of(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        """By device id. Raises ConnectionError or TimeoutError when it cannot be known."""
        screens = (await self._screens.of_users([user])).get(user, {})
        known = await self._confirmed.of(user, conversation) if self._confirmed is not None else {}
        return {
            device_id(user, name): _joined(known.get(name), screens.get(name), conversation)
            for name in {*screens, *known}
        }


def _joined(known: DeviceState | None, screen: OnScreen | None, conversation: str) -> DeviceState:
    if known is not None and not known.connected:
        # Whatever it last said, nobody is there to see it.
        return known
    return DeviceState(
        connected=True,
        foreground=screen is not None and screen.foreground,
        viewing=screen is not None and screen.foreground and screen.conversation == conversation,
        confirmed=0 if known is None else known.confirmed,
    )
