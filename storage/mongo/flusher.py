"""Tells logs of reactions and replies to this process, soon and not too often. What it leaves, the sweep does."""

import asyncio
import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import count
from types import TracebackType
from typing import Final, Self

import structlog

from storage.errors import StorageError
from storage.model import Entry, ids
from storage.model.due import Due, DueKind
from storage.mongo.telling import INTERVAL_MS, Telling

MAX_PENDING: Final = 20_000
"""Messages waiting to be told of; beyond, new ones are left to the sweep."""

AT_ONCE: Final = 4
RETRY_S: Final = 1.0
LAST_S: Final = 2.0
_INTERVAL_S: Final = INTERVAL_MS / 1000
_logger = structlog.get_logger(__name__)


def threads_in(entries: Iterable[Entry]) -> set[Due]:
    """The messages to which these entries are replies."""
    roots = (ids.thread_root(entry.conversation) for entry in entries if entry.kind.counts)
    return {Due(DueKind.THREAD, *root) for root in roots if root is not None}


class Flusher:
    """An async context manager with one task and at most `AT_ONCE` more.

    The first change of a message is told at once, what follows together after a second. Of one conversation one message
    at a time, so that those who write there get their turn in between.
    """

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._loop = asyncio.get_running_loop()
        self._pending: set[Due] = set()
        self._queue: list[tuple[float, int, Due]] = []
        self._tickets = count()
        self._told_at: OrderedDict[Due, float] = OrderedDict()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._behind: dict[str, deque[Due]] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="flusher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell what is pending, for LAST_S at most."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_S):
                await asyncio.gather(*self._busy.values())
                for due in list(self._pending):
                    await self._telling.tell(due, at_once=True)
        except (TimeoutError, StorageError) as reason:
            _logger.warning("left_to_the_sweep", messages=len(self._pending), reason=str(reason))
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def note(self, due: Due) -> None:
        """Something has changed there, and is committed. Returns at once."""
        if due not in self._pending and len(self._pending) < MAX_PENDING:
            self._put(due, max(self._loop.time(), self._told_at.get(due, -math.inf) + _INTERVAL_S))

    def note_entries(self, entries: Iterable[Entry]) -> None:
        """These entries were committed."""
        for due in threads_in(entries):
            self.note(due)

    def _put(self, due: Due, when: float) -> None:
        self._pending.add(due)
        heapq.heappush(self._queue, (when, next(self._tickets), due))
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            delay_s = self._start_due()
            try:
                async with asyncio.timeout(delay_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _start_due(self) -> float | None:
        """Start what may start; returns for how long there is nothing else to do (None: until something changes)."""
        now = self._loop.time()
        while self._told_at and next(iter(self._told_at.values())) < now - _INTERVAL_S:
            self._told_at.popitem(last=False)
        while self._queue and self._queue[0][0] <= now and len(self._busy) < AT_ONCE:
            due = heapq.heappop(self._queue)[2]
            if due.conversation in self._busy:
                self._behind.setdefault(due.conversation, deque()).append(due)
            else:
                self._pending.discard(due)
                self._busy[due.conversation] = asyncio.create_task(self._tell(due), name="tell")
        upcoming = next((when for when, _, _ in self._queue[:1]), None)
        # What is due and cannot start waits for an end of what is under way.
        return None if upcoming is None or upcoming <= now else upcoming - now

    def _next_of(self, conversation: str) -> None:
        """One that waits for its conversation goes to the end of what is due now."""
        waiting = self._behind.get(conversation)
        if waiting:
            heapq.heappush(self._queue, (self._loop.time(), next(self._tickets), waiting.popleft()))
        if not waiting:
            self._behind.pop(conversation, None)

    async def _tell(self, due: Due) -> None:
        again_s: float | None = None
        try:
            wait_ms = await self._telling.tell(due)
            again_s = wait_ms / 1000 if wait_ms else None
        except StorageError as error:
            _logger.warning("log_not_told", kind=due.kind.value, conversation=due.conversation, reason=str(error))
            again_s = RETRY_S
        except Exception:
            # Its mark stays, for the sweep.
            _logger.exception("telling_failed", kind=due.kind.value, conversation=due.conversation)
        finally:
            del self._busy[due.conversation]
            self._next_of(due.conversation)
            self._changed.set()
        now = self._loop.time()
        self._told_at[due] = now
        self._told_at.move_to_end(due)
        if again_s is not None and due not in self._pending and len(self._pending) < MAX_PENDING:
            self._put(due, now + again_s)
