"""Reads the log behind the hubs, once per deployment: repairs summaries, and hands entries to who derives from them.

Nothing it does takes part in ordering: it may lag, stop, and do things twice.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

import pymongo
import structlog
from pymongo.errors import OperationFailure, PyMongoError

from storage.errors import StorageError
from storage.model import Entry
from storage.mongo.client import Database, is_temporary, translate, translated
from storage.mongo.documents import entry_of
from storage.mongo.fold import Fold
from storage.mongo.lease import Held, Lease
from storage.mongo.repair import Repair
from storage.mongo.schema import MESSAGES
from storage.stats import Stats

LEASE_TTL_MS: Final = 10_000
RETRY_S: Final = 1.0
SETTLE_S: Final = 3.0
"""How long hubs are given to write a summary before it is compared. They flush once a second."""

BATCH: Final = 1000
AWAIT_MS: Final = 250
GATHER_S: Final = 0.05
"""Entries that come one after the other are handed on together for so long: where somebody always writes, there is
always another one.
"""
STREAM_TIMEOUT_S: Final = 60
"""To go on after a long pause the server may have to look through much of its oplog first."""

_HISTORY_LOST: Final = (136, 260, 280, 286)
"""The change stream cannot go on from the token: the oplog has moved past it, or is another one."""

OnEntries = Callable[[Sequence[Entry]], Awaitable[None]]
OnStartedOver = Callable[[], Awaitable[None]]
_logger = structlog.get_logger(__name__)


class Follower:
    """An async context manager with one task. Of several processes one follows, the others wait for its lease to end.

    `on_entries` is awaited with batches of entries in the order of their commits, at least once each: what it raised
    for, it gets again. Only where the place in the log is lost, or nobody ever followed, does it begin at the present:
    then `on_started_over` is awaited first, again if it raises.
    """

    def __init__(
        self,
        db: Database,
        *,
        owner: str,
        stats: Stats,
        on_entries: OnEntries | None = None,
        on_started_over: OnStartedOver | None = None,
        settle_s: float = SETTLE_S,
        lease_ttl_ms: int = LEASE_TTL_MS,
    ) -> None:
        """`owner` names this process and run; no two may share one."""
        self._db = db
        self._lease = Lease(db, "follower", owner=owner, ttl_ms=lease_ttl_ms)
        self._lease_ttl_s = lease_ttl_ms / 1000
        self._repair = Repair(db)
        self._stats = stats
        self._on_entries = on_entries
        self._on_started_over = on_started_over
        self._settle_s = settle_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="follower")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                held = await self._lease.acquire()
                if held is not None:
                    await self._lead(held)
            except StorageError as error:
                _logger.warning("follower_interrupted", reason=str(error))
            except Exception:
                _logger.exception("follower_failed")
            await asyncio.sleep(RETRY_S)

    async def _lead(self, held: Held) -> None:
        """Follow the log for as long as the lease is ours."""
        _logger.info("follower_leads", fence=held.fence)
        self._stats.leading = 1
        keeping = asyncio.create_task(self._keep_lease(held.fence))
        following = asyncio.create_task(self._follow(held))
        try:
            done, _ = await asyncio.wait({keeping, following}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._stats.leading = 0
            keeping.cancel()
            following.cancel()
            await asyncio.gather(keeping, following, return_exceptions=True)
            await self._release(held.fence)

    async def _release(self, fence: int) -> None:
        try:
            await self._lease.release(fence)
        except StorageError as error:
            _logger.warning("lease_not_released", reason=str(error))

    async def _keep_lease(self, fence: int) -> None:
        while True:
            await asyncio.sleep(self._lease_ttl_s / 3)
            await self._lease.renew(fence)

    async def _follow(self, held: Held) -> None:
        token = held.state
        while True:
            if token is None:
                token = await self._start_over(held.fence)
            try:
                await self._read_on(held.fence, token)
            except _HistoryLost:
                _logger.warning("follower_lost_its_place")
                token = None

    async def _start_over(self, fence: int) -> Any:
        """Begin at the present, and look through everything for what was missed before."""
        with _Stream(self._db, None) as stream:
            _, token = await stream.read()
        repaired = await self._repair.everything()
        self._stats.summaries_repaired += repaired
        _logger.info("summaries_compared_with_logs", repaired=repaired)
        if self._on_started_over is not None:
            await self._on_started_over()
        await self._lease.save(fence, token)
        return token

    async def _read_on(self, fence: int, token: Any) -> None:
        """Hand entries on as they come; compare summaries with them once the hubs had time to write those."""
        loop = asyncio.get_running_loop()
        fresh, settling = Fold(), Fold()
        settled_at, settled_token = loop.time() + self._settle_s, token
        with _Stream(self._db, token) as stream:
            while True:
                entries, token = await stream.read()
                if entries:
                    self._stats.followed += len(entries)
                    fresh.add(entries)
                    if self._on_entries is not None:
                        await self._on_entries(entries)
                if loop.time() >= settled_at:
                    self._stats.summaries_repaired += await self._repair.apply(settling)
                    # What is fresh now is compared next time, so it has to be read again if this process ends before.
                    await self._lease.save(fence, settled_token)
                    fresh, settling = Fold(), fresh
                    settled_at, settled_token = loop.time() + self._settle_s, token


class _HistoryLost(Exception):
    """The token is of no use any more."""


class _Stream:
    """A change stream on the log, read by a thread of its own: motor would take a turn of the executor per entry."""

    def __init__(self, db: Database, token: Any) -> None:
        self._messages = db.delegate[MESSAGES]
        self._token = token
        self._stream: Any = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="follower")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The thread ends by itself within AWAIT_MS of its last read.
        self._executor.submit(self._close)
        self._executor.shutdown(wait=False)

    async def read(self) -> tuple[list[Entry], Any]:
        """The next entries, none after AWAIT_MS without any, and the token to go on from: within GATHER_S and AWAIT_MS
        of the first. Raises Unavailable.
        """
        with translated():
            documents, token = await asyncio.get_running_loop().run_in_executor(self._executor, self._pull)
        return [entry_of(document) for document in documents], token

    def _pull(self) -> tuple[list[Any], Any]:
        try:
            documents: list[Any] = []
            with pymongo.timeout(STREAM_TIMEOUT_S):
                if self._stream is None:
                    self._stream = self._messages.watch(
                        [{"$match": {"operationType": "insert"}}],
                        resume_after=self._token,
                        batch_size=BATCH,
                        max_await_time_ms=AWAIT_MS,
                    )
                until = float("inf")
                while len(documents) < BATCH and time.monotonic() < until:
                    change = self._stream.try_next()
                    if change is None:
                        break
                    if not documents:
                        until = time.monotonic() + GATHER_S
                    documents.append(change["fullDocument"])
        except OperationFailure as error:
            refused = self._stream is None and self._token is not None and not is_temporary(error)
            if refused or error.code in _HISTORY_LOST:
                raise _HistoryLost from error
            raise
        return documents, self._stream.resume_token

    def _close(self) -> None:
        if self._stream is not None:
            try:
                self._stream.close()
            except PyMongoError as error:
                _logger.debug("change_stream_not_closed", reason=str(translate(error)))
