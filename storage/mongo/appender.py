"""The one writer of the log in this process: queues appends, commits them in groups, and tells who has to know."""

import asyncio
import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, ParamSpec, Self

import structlog

from storage.append.lanes import Lanes
from storage.append.schedule import LaneSettings
from storage.append.work import (
    CatchUp,
    Insert,
    InsertOutcome,
    Lookup,
    Pending,
    ReadHeads,
    Transact,
    Work,
)
from storage.errors import Overloaded, PreconditionFailed, StorageError, Unavailable
from storage.model import Appended, AppendOutcome, Entry, NewEntry, Position
from storage.mongo.documents import Prepared, prepare
from storage.mongo.health import DOUBT_AFTER_S, Health
from storage.mongo.writer import Changes, Changing, Writer
from storage.stats import Stats

DEADLINE_S: Final = 4.0
"""After this an append is answered as unavailable, whatever MongoDB does. Client SDKs wait 5 s for a reply."""

DRAIN_S: Final = 5.0

_OWN_KEY_BYTES: Final = 12

P = ParamSpec("P")
_logger = structlog.get_logger(__name__)


class Appender:
    """Appends entries to logs. An async context manager; owns all tasks that it starts.

    `on_committed` is called with each run of entries of one conversation that this process was asked to append
    (repeated ones included), ascending, before anybody who waits for their futures goes on.
    `on_examined(conversation, entries)` is called with what other processes appended, as far as it was read here.
    `on_skipped(conversation, upto)`: the log reaches `upto`, and what lies below was not read, so what the caller knows
    of the conversation from an older offset may be out of date. `on_available` is called when MongoDB is found to be
    away (False), and to be back. All of them run on the event loop and should not raise; `note` likewise, with every
    entry committed here.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        health: Health,
        stats: Stats,
        random: Callable[[int], bytes],
        note: Callable[[Sequence[Entry]], None] = lambda _entries: None,
        settings: LaneSettings | None = None,
        deadline_s: float = DEADLINE_S,
        process: str = "",
    ) -> None:
        """`process` is the name by which other processes hear of what this one writes."""
        self.on_committed: Callable[[Sequence[Appended]], None] = lambda _run: None
        self.on_examined: Callable[[str, Sequence[Entry]], None] = lambda _conversation, _entries: None
        self.on_skipped: Callable[[str, int], None] = lambda _conversation, _upto: None
        self.on_available: Callable[[bool], None] = lambda _available: None
        self._writer = writer
        self._health = health
        self._stats = stats
        self._own_key = partial(random, _OWN_KEY_BYTES)
        self._deadline_s = deadline_s
        self._lanes = Lanes(_Hooks(self, stats, note), settings, own=process)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._pumping = False
        self._timer: asyncio.Handle | None = None
        self._timer_at = math.inf
        self._closing = False
        self._drained = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._health.on_change = self._availability_changed
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Refuse new appends, give queued ones up to DRAIN_S to commit, then fail them."""
        self._closing = True
        self._note_end()
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._drained.wait()
        except TimeoutError:
            _logger.warning("appends_given_up", queued=self._lanes.queued)
        finally:
            self._lanes.expire(math.inf)
            if self._timer is not None:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def available(self) -> bool:
        """False while MongoDB is known to be away: every append is then refused at once."""
        return self._health.available

    def append(
        self, new: NewEntry, *, check: Callable[[], bool] | None = None, refused: Callable[[], None] | None = None
    ) -> "asyncio.Future[Appended]":
        """Queue an entry. Returns at once; cancelling the future does not stop the write.

        The future gives what the log has under the entry's key, once it is on a majority, within DEADLINE_S; or it
        raises Unavailable (the outcome is unknown; repeat with the same key), or PreconditionFailed when `check`, asked
        after everything below the entry's place was examined, said no. When an entry is given up, those that the same
        sender queued after it in the conversation are too, so that none overtakes it; likewise messages with a `check`.
        `refused` is called before a PreconditionFailed is raised and before anything else happens, in the order of the
        queue: to see to it that nothing overtakes it from outside either.

        Raises at once: Invalid, Overloaded (LaneSettings has the bounds), Unavailable.
        """
        future: asyncio.Future[Appended] = self._loop.create_future()
        self.append_then(new, partial(_settle, future), check=check, refused=refused)
        return future

    def append_then(
        self,
        new: NewEntry,
        answered: Callable[[AppendOutcome], None],
        *,
        check: Callable[[], bool] | None = None,
        refused: Callable[[], None] | None = None,
    ) -> None:
        """As `append`, without a future: `answered` is called with what it would give, or raise, the moment that is
        known. It must neither block nor raise, and not append.
        """
        prepared = prepare(new, own_key=self._own_key)
        self._queue(new, prepared, prepared, answered, check, refused, alone=False)

    def append_with(
        self,
        new: NewEntry,
        changes: Changes,
        *,
        check: Callable[[], bool] | None = None,
        refused: Callable[[], None] | None = None,
    ) -> "asyncio.Future[Appended | None]":
        """As `append`, with changes of other rows in the same transaction; None when there was nothing to change.

        The future also raises whatever StorageError `changes` raised.
        """
        own_key = self._own_key()
        prepared = prepare(new, own_key=lambda: own_key)
        future: asyncio.Future[Appended | None] = self._loop.create_future()
        self._queue(new, prepared, Changing(changes, own_key), partial(_settle, future), check, refused, alone=True)
        return future

    def learn(self, conversation: str, offset: int, n: int) -> None:
        """Take from elsewhere that the log is committed up to `offset`, e.g. from gossip that was sent after a commit.

        The entries up to it are then not examined before the next append: call it only with what `check` knows of.
        """
        self._lanes.learn(conversation, Position(offset, n))

    def heard(self, conversation: str, offset: int, process: str) -> None:
        """Another process says that it has committed a message at this offset: not an entry of another kind."""
        if self._lanes.heard(conversation, offset, process, self._loop.time()):
            self._pump_soon()

    def tail(self, conversation: str) -> Position | None:
        """How far this process knows the log to be committed, if it knows."""
        return self._lanes.tail(conversation)

    def _queue(
        self,
        new: NewEntry,
        prepared: Prepared,
        payload: object,
        answered: Callable[[AppendOutcome], None],
        check: Callable[[], bool] | None,
        refused: Callable[[], None] | None,
        *,
        alone: bool,
    ) -> None:
        if self._closing or not self._health.available:
            raise Unavailable("MongoDB is away" if not self._closing else "the process is going down")
        now = self._loop.time()
        self._lanes.age(now)
        item = Pending(
            new,
            (new.conversation, new.by, prepared.key),
            prepared.size_bytes,
            now + self._deadline_s,
            payload,
            [partial(self._answer, answered, refused)],
            check,
            alone,
        )
        try:
            self._lanes.add(item)
        except Overloaded:
            self._stats.refused += 1
            raise
        self._pump_soon()

    def _answer(
        self, answered: Callable[[AppendOutcome], None], refused: Callable[[], None] | None, outcome: AppendOutcome
    ) -> None:
        if isinstance(outcome, Unavailable):
            self._stats.expired += 1
        elif isinstance(outcome, PreconditionFailed) and refused is not None:
            refused()
        try:
            # One error may answer many: raised in many places, a shared one would gather all their tracebacks.
            answered(copy.copy(outcome) if isinstance(outcome, Exception) else outcome)
        except Exception:
            _logger.exception("append_answer_failed")

    def _pump_soon(self) -> None:
        """Once per turn of the loop, so that what arrives together is committed together."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Start everything that may start, and come back when something is due."""
        self._pumping = False
        now = self._loop.time()
        self._lanes.expire(now)
        while (work := self._lanes.next_work(now)) is not None:
            task = self._loop.create_task(self._do(work))
            self._tasks.add(task)
            task.add_done_callback(self._note_end)
        self._stats.queued = self._lanes.queued
        due_at = self._lanes.due_at()
        if due_at is not None and due_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            # Remembered here: uvloop gives a plain handle for what is due at once, which cannot tell.
            self._timer, self._timer_at = self._loop.call_at(due_at, self._due), due_at
        self._note_end()

    def _note_end(self, task: "asyncio.Task[None] | None" = None) -> None:
        """A task ended, or something was answered: was it the last?"""
        if task is not None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                _logger.error("append_task_failed", exc_info=error)
        if self._closing and not self._tasks and not self._lanes.queued:
            self._drained.set()

    def _due(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._pump()

    async def _do(self, work: Work) -> None:
        doubt = self._loop.call_later(DOUBT_AFTER_S, self._health.doubt)
        try:
            match work:
                case Insert():
                    await self._insert(work)
                case Transact():
                    self._lanes.transacted(work, await self._writer.transact(work))
                case ReadHeads() | CatchUp() | Lookup():
                    await self._read(work)
        finally:
            doubt.cancel()
        self._pump()

    async def _insert(self, work: Insert) -> None:
        started = self._loop.time()
        outcomes = await self._writer.insert(work)
        took_s = self._loop.time() - started
        self._stats.commit_duration.observe(took_s)
        self._stats.batch_entries.observe(len(outcomes))
        if InsertOutcome.UNKNOWN in outcomes:
            self._stats.unknown_outcomes += 1
            self._health.doubt()
        if InsertOutcome.TAKEN in outcomes:
            self._stats.lost_races += 1
        else:
            self._lanes.turns.took(took_s)
        self._lanes.inserted(work, outcomes)

    async def _read(self, work: ReadHeads | CatchUp | Lookup) -> None:
        try:
            match work:
                case ReadHeads():
                    self._lanes.heads_read(work, await self._writer.read_heads(work))
                case CatchUp():
                    found, complete = await self._writer.catch_up(work)
                    self._lanes.caught_up(work, found, complete=complete, now=self._loop.time())
                case Lookup():
                    self._lanes.looked_up(work, await self._writer.look_up(work), self._loop.time())
        except StorageError as error:
            if not error.temporary:
                _logger.exception("log_not_readable")
            self._lanes.read_failed(work, self._loop.time())
            self._health.doubt()

    def _availability_changed(self, available: bool) -> None:
        self._stats.available = int(available)
        if not available:
            self._lanes.fail_queued(Unavailable("MongoDB is away"))
        self.on_available(available)
        self._pump()


def _settle(future: "asyncio.Future[Any]", outcome: AppendOutcome) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class _Hooks:
    """Passes what the machine tells on to the appender's hooks. If one raises, nobody else suffers."""

    def __init__(self, appender: Appender, stats: Stats, note: Callable[[Sequence[Entry]], None]) -> None:
        self._appender = appender
        self._stats = stats
        self._note = note

    def committed(self, run: Sequence[Appended]) -> None:
        duplicates = sum(appended.duplicate for appended in run)
        self._stats.appended += len(run) - duplicates
        self._stats.duplicates += duplicates
        self._call(self._note, [appended.entry for appended in run])
        self._call(self._appender.on_committed, run)

    def examined(self, conversation: str, entries: Sequence[Entry]) -> None:
        self._call(self._appender.on_examined, conversation, entries)

    def skipped(self, conversation: str, upto: int) -> None:
        self._call(self._appender.on_skipped, conversation, upto)

    def _call(self, hook: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            _logger.exception("append_hook_failed")
