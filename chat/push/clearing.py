"""Takes away what devices show and their user has read elsewhere, and has the number on their icons looked at: of the
reads of a hub, in a worker a moment later.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from storage.errors import StorageError
from storage.mongo.push_jobs import PushJobs

log = structlog.get_logger(__name__)

EVERY_S: Final = 0.25
DELAY_MS: Final = 750
"""Readings that follow on each other are one update of the screen."""

NUMBER_DELAY_MS: Final = 3_000
"""The same for the number alone; longer, as most devices are told it with what is taken away."""

LIFE_MS: Final = 4 * 3_600_000
MAX_WAITING: Final = 20_000
"""Reads that wait to be written. Beyond them the oldest are forgotten: what is on those screens goes with the next
notification, or when the app is opened."""


class Clearing:
    """Remembers reads, and has the screens looked at; while MongoDB is away it keeps them, up to `MAX_WAITING`."""

    def __init__(self, jobs: PushJobs, *, clock_ms: Callable[[], int], limit: int = MAX_WAITING) -> None:
        self._jobs = jobs
        self._clock_ms = clock_ms
        self._limit = limit
        self._waiting: OrderedDict[tuple[str, str], int] = OrderedDict()

    def note(self, user: str, conversation: str, offset: int) -> None:
        """The user has read up to there on some device: `on_read` of `chat.usecases.reading`."""
        place = (user, conversation)
        self._waiting[place] = max(offset, self._waiting.get(place, 0))
        if len(self._waiting) > self._limit:
            self._waiting.popitem(last=False)

    async def flush(self) -> None:
        """Write what waits. May raise StorageError; it waits on then."""
        if not self._waiting:
            return
        reads, self._waiting = self._waiting, OrderedDict()
        now = self._clock_ms()
        try:
            await self._jobs.read(
                reads, due_at=now + DELAY_MS, number_due_at=now + NUMBER_DELAY_MS, ends_at=now + LIFE_MS, now=now
            )
        except BaseException:
            for (user, conversation), offset in reads.items():
                self.note(user, conversation, offset)
            raise

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.flush()
            except StorageError as error:
                log.warning("push_reads_wait", waiting=len(self._waiting), reason=str(error))


@asynccontextmanager
async def open_clearing(jobs: PushJobs, *, clock_ms: Callable[[], int]) -> AsyncIterator[Clearing]:
    """Leaving writes what waits, if MongoDB answers."""
    clearing = Clearing(jobs, clock_ms=clock_ms)
    task = asyncio.create_task(clearing.run(), name="push-clearing")
    try:
        yield clearing
    finally:
        task.cancel()
        await asyncio.wait([task])
        try:
            await clearing.flush()
        except StorageError as error:
            log.warning("push_reads_lost", reason=str(error))
