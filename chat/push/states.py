"""What devices do just now, from what they said of their screens.

A device that has said something in the last minute counts as connected, unless its connection is known to have ended.
What it has confirmed is told by `Confirmed`: without that, whoever looks at the app is rung after the time for
confirming is over.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from chat.push.policy import DeviceState
from chat.usecases.clientstates import OnScreen
from realtime.ports import DeviceConnection
from storage.model.device import device_id
from storage.mongo.together import UsersTogether


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


class Connections(Protocol):
    """See `realtime.redis.device_connections.RedisDeviceConnections`."""

    async def of_users(self, users: Collection[str]) -> Mapping[str, Mapping[str, DeviceConnection]]:
        """By user and the name of the device; confirmed is by conversation. Raises ConnectionError or TimeoutError."""


class ConnectedDevices:
    """Implements `Confirmed` by what the hubs have heard from devices."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def of(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        """Nothing of devices without a connection in the last minute."""
        known = (await self._connections.of_users([user])).get(user, {})
        return {
            name: DeviceState(
                connected=one.ended_at is None,
                confirmed=one.confirmed.get(conversation, 0),
                disconnected_at=one.ended_at,
            )
            for name, one in known.items()
        }


class ScreenStates:
    """Implements `States` of ports.py."""

    def __init__(self, screens: Screens, confirmed: Confirmed | None = None) -> None:
        self._screens = screens
        self._confirmed = confirmed

    async def of(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        """By device id. Raises ConnectionError or TimeoutError when it cannot be known."""
        said, known = await asyncio.gather(self._screens.of_users([user]), self._known(user, conversation))
        screens = said.get(user, {})
        return {
            device_id(user, name): _joined(known.get(name), screens.get(name), conversation)
            for name in {*screens, *known}
        }

    async def _known(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        return {} if self._confirmed is None else await self._confirmed.of(user, conversation)


@asynccontextmanager
async def states_together(screens: Screens, connections: Connections) -> AsyncIterator[ScreenStates]:
    """By what is said of screens and of connections; until the block ends, who asks asks together with others."""
    async with UsersTogether(screens.of_users) as said, UsersTogether(connections.of_users) as known:
        yield ScreenStates(said, ConnectedDevices(known))


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
