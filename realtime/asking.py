"""Asks devices for what they have, soon after something was written to them: by a ping out of turn.

The pings that keep connections alive are too far apart for whoever waits to know whether a phone is to ring. What was
sent is seen by channel, from time to time, so that sending itself has nothing to do with it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from realtime.channel import Channel
from realtime.hub import Hub, Member
from realtime.ports import Attendance
from realtime.session import Session

LOOK_S: Final = 0.5
_AT_ONCE: Final = 2_000
"""Between so many sessions the loop has a turn."""


class Asking:
    """Takes what the hub notes in `moved` and `unconfirmed`.

    Bounds: a session is in the list once, and is pinged out of turn once in 3 s (`Confirming`), if ever. What is there
    to be asked of one that does not answer stays until it does, or its next ping ends it.
    """

    def __init__(self, hub: Hub, attendance: Attendance, monotonic: Callable[[], float]) -> None:
        self._hub = hub
        self._attendance = attendance
        self._monotonic = monotonic

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Once."""
        moved, self._hub.moved = self._hub.moved, {}
        for channel in moved:
            if channel.cursor is not None and self._attendance.follows(channel.name):
                await self._note(channel)
        now = self._monotonic()
        for number, member in enumerate(tuple(self._hub.unconfirmed), 1):
            if isinstance(member, Session) and (attending := member.attending) is not None and attending.moved:
                if attending.should_ask(now):
                    member.ask()
            else:
                self._hub.unconfirmed.pop(member, None)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _note(self, channel: Channel[Member]) -> None:
        offset = channel.offset
        for number, member in enumerate(channel.receivers(), 1):
            if (
                isinstance(member, Session)
                and member.attending is not None
                and member not in channel.behind
                and member.attending.written(channel.name, offset)
                and not member.ended
            ):
                self._hub.unconfirmed[member] = None
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
