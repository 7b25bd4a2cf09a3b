"""When users were last seen: noted at the end of their last connection, written in batches."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from storage.errors import StorageError
from storage.store import Store

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 5.0
LAST_WRITE_S: Final = 1.0
MAX_USERS: Final = 50_000


class LastSeen:
    """Collects users until the next write.

    Bound: `MAX_USERS` waiting; further ones are not noted. It is best effort: a killed process forgets the last
    seconds.
    """

    def __init__(self, store: Store, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._waiting: dict[str, int] = {}

    def note(self, user: str) -> None:
        if len(self._waiting) < MAX_USERS:
            self._waiting[user] = self._clock_ms()

    async def write(self) -> None:
        users, self._waiting = self._waiting, {}
        if not users:
            return
        try:
            await self._store.users.touch_last_seen(users)
        except StorageError as error:
            log.warning("last_seen_not_written", users=len(users), error=str(error))


@asynccontextmanager
async def open_last_seen(store: Store, clock_ms: Callable[[], int]) -> AsyncIterator[LastSeen]:
    """While inside, write every `INTERVAL_S`; once more at the end."""
    last_seen = LastSeen(store, clock_ms)

    async def run() -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            await last_seen.write()

    task = asyncio.create_task(run(), name="last-seen")
    try:
        yield last_seen
    finally:
        task.cancel()
        await asyncio.wait([task])
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITE_S):
                await last_seen.write()
