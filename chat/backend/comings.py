"""Tells of users' coming and going, as Redis finds it: those that came to this process, and those of any process that
have been gone for a while, killed ones included.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from chat.usecases.presence import Presence
from realtime.protocol.codes import ClientError

log = structlog.get_logger(__name__)

TICK_S: Final = 0.25
ASK_EVERY_S: Final = 1.0
BATCH: Final = 32
EVENTS_PER_S: Final = 2_000
"""Where very many come at the same time, they are told of one after the other: messages go first."""

BUSY_EVENTS_PER_S: Final = 200
"""While the process has its hands full with those who come: each event goes to every member of a conversation."""

MAX_WAITING: Final = 20_000
"""Users who have come and of whom nobody was told yet; beyond it the first are not told of. They are seen when somebody
asks.
"""


class Left(Protocol):
    """A user who has gone, and since when (ms UTC)."""

    @property
    def user(self) -> str: ...

    @property
    def at(self) -> int: ...


class Everywhere(Protocol):
    """What all processes together know of their users."""

    def on_came(self, listener: Callable[[Sequence[str]], None]) -> None: ...

    async def left(self, limit: int) -> Sequence[Left]: ...

    async def told(self, users: Sequence[str]) -> None: ...


class Comings:
    """Best effort: where Redis or MongoDB is away it waits, and tells afterwards what is still so. While the process is
    `busy` it tells more slowly.
    """

    def __init__(
        self,
        presence: Presence,
        everywhere: Everywhere,
        monotonic: Callable[[], float],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._presence = presence
        self._everywhere = everywhere
        self._monotonic = monotonic
        self._busy = busy
        self._came: OrderedDict[str, None] = OrderedDict()
        self._ask_at = monotonic()
        everywhere.on_came(self._note)

    def _note(self, users: Sequence[str]) -> None:
        self._came.update(dict.fromkeys(users))
        while len(self._came) > MAX_WAITING:
            self._came.popitem(last=False)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                while await self._tell_some():
                    pass
            except (ConnectionError, TimeoutError, ClientError) as error:
                log.warning("presence_not_told", waiting=len(self._came), error=str(error))
                await asyncio.sleep(ASK_EVERY_S)
            except Exception:
                log.exception("presence_failed")
                await asyncio.sleep(ASK_EVERY_S)

    async def _tell_some(self) -> bool:
        """Tell of some; whether there are more."""
        await self._tell_came()
        full = False
        if self._monotonic() >= self._ask_at:
            full = await self._tell_left()
            if not full:
                self._ask_at = self._monotonic() + ASK_EVERY_S
        return full or bool(self._came)

    async def _tell_came(self) -> None:
        users = [self._came.popitem(last=False)[0] for _ in range(min(len(self._came), BATCH))]
        if not users:
            return
        try:
            told = await self._presence.announce(users, {})
        except BaseException:
            self._note(users)
            raise
        await asyncio.sleep(told / (BUSY_EVENTS_PER_S if self._busy() else EVENTS_PER_S))

    async def _tell_left(self) -> bool:
        left = await self._everywhere.left(BATCH)
        if not left:
            return False
        told = await self._presence.announce([], {one.user: one.at for one in left})
        await self._everywhere.told([one.user for one in left])
        await asyncio.sleep(told / (BUSY_EVENTS_PER_S if self._busy() else EVENTS_PER_S))
        return len(left) >= BATCH


@asynccontextmanager
async def open_comings(
    presence: Presence,
    everywhere: Everywhere,
    monotonic: Callable[[], float],
    busy: Callable[[], bool] = lambda: False,
) -> AsyncIterator[None]:
    """While inside, tell."""
    comings = Comings(presence, everywhere, monotonic, busy)
    task = asyncio.create_task(comings.run(), name="comings")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
