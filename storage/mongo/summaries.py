"""Writes summaries of conversations behind the log, coalesced. They are derived: what is lost, the follower repairs."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import structlog
from pymongo import UpdateOne

from storage.errors import StorageError
from storage.model import Entry
from storage.mongo.client import Collection, Database, translated
from storage.mongo.fold import Fold
from storage.mongo.schema import CONVERSATIONS, MEMBERS
from storage.stats import Stats

FLUSH_INTERVAL_S: Final = 1.0
MAX_PENDING: Final = 50_000
"""Rows waiting to be written; beyond, new ones are dropped and counted until MongoDB takes some."""

LAST_FLUSH_S: Final = 2.0
_CHUNK: Final = 1000
_logger = structlog.get_logger(__name__)


class Summaries:
    """An async context manager with one task. Notes what was committed, and writes it once per FLUSH_INTERVAL_S."""

    def __init__(self, db: Database, *, stats: Stats, interval_s: float = FLUSH_INTERVAL_S) -> None:
        self._members = db[MEMBERS]
        self._conversations = db[CONVERSATIONS]
        self._stats = stats
        self._interval_s = interval_s
        self._pending = Fold()
        self._noted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="summaries")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is pending, for LAST_FLUSH_S at most."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_FLUSH_S):
                await self.flush()
        except (TimeoutError, StorageError) as reason:
            _logger.warning("last_summaries_not_written", rows=len(self._pending), reason=str(reason))

    def note(self, entries: Sequence[Entry]) -> None:
        """These were committed. Returns at once."""
        if len(self._pending) >= MAX_PENDING:
            self._stats.summaries_dropped += len(entries)
            return
        self._pending.add(entries)
        self._noted.set()

    async def flush(self) -> None:
        """Write what is pending now. Raises Unavailable; what was not written stays pending."""
        pending, self._pending = self._pending, Fold()
        try:
            await write(pending, members=self._members, conversations=self._conversations)
        except BaseException:
            self._pending.merge(pending)
            raise
        self._stats.summaries_written += len(pending.heads)

    async def _run(self) -> None:
        while True:
            await self._noted.wait()
            await asyncio.sleep(self._interval_s)
            self._noted.clear()
            try:
                await self.flush()
            except StorageError as error:
                _logger.warning("summaries_not_written", rows=len(self._pending), reason=str(error))
                self._noted.set()


async def write(fold: Fold, *, members: Collection, conversations: Collection) -> None:
    """Read positions first: where a summary is up to date, the read positions that follow from it are too."""
    await _bulk(members, fold.read_updates())
    await _bulk(conversations, fold.summary_updates())


async def _bulk(collection: Collection, updates: list[UpdateOne]) -> None:
    for start in range(0, len(updates), _CHUNK):
        with translated():
            await collection.bulk_write(updates[start : start + _CHUNK], ordered=False)
