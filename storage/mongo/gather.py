"""Doing together what is asked for at the same time."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import structlog

from storage.errors import Overloaded, StorageError, Unavailable

_logger = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")


class Gather(Generic[T, R]):
    """Hands what was asked for since the last time to `work`: `batch` items at most, `at_once` batches at a time.

    With `shared`, equal items are one: everybody who asked for it before the work on it began gets the same result.
    What began before one asked is never given to one, so whoever asks sees what was committed by then.

    An async context manager; owns its tasks. More than `limit` waiting items are refused. What is asked for when it
    ends is still done.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        batch: int,
        limit: int,
        at_once: int = 1,
        shared: bool = False,
    ) -> None:
        """`work` gives one result per item, in order, or raises a StorageError for all of them."""
        self._work = work
        self._batch = batch
        self._limit = limit
        self._at_once = at_once
        self._shared = shared
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._asked = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._at_once)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        self._asked.set()
        await asyncio.gather(*self._tasks)

    async def ask(self, item: T) -> R:
        """Have the item done and wait for its result. Cancelling does not take it back. Raises Overloaded."""
        if self._closing or not self._tasks:
            raise Unavailable("the process is going down")
        if len(self._waiting) >= self._limit:
            raise Overloaded("too many are waiting for MongoDB")
        return await self._queue(item)

    async def ask_all(self, items: Sequence[T]) -> list[R]:
        """The same for several: their results in order."""
        if self._closing or not self._tasks:
            raise Unavailable("the process is going down")
        if len(self._waiting) + len(items) > self._limit:
            raise Overloaded("too many are waiting for MongoDB")
        return await asyncio.gather(*[self._queue(item) for item in items])

    def _queue(self, item: T) -> "asyncio.Future[R]":
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._asked.set()
        return future

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            await self._asked.wait()
            # Where the loop is behind, others are about to ask. Elsewhere it costs no time.
            await asyncio.sleep(0)
            batch = self._take()
            if batch:
                await self._do(batch)
            if not self._waiting and not self._closing:
                self._asked.clear()

    def _take(self) -> list[tuple[T, "asyncio.Future[R]"]]:
        if not self._shared:
            batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            return batch
        taken: dict[T, None] = {}
        batch, left = [], []
        for asked in self._waiting:
            if asked[0] in taken or len(taken) < self._batch:
                taken[asked[0]] = None
                batch.append(asked)
            else:
                left.append(asked)
        self._waiting = left
        return batch

    async def _do(self, batch: Sequence[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            results = await self._results([item for item, _ in batch])
        except StorageError as error:
            self._fail(batch, error)
        except Exception:
            _logger.exception("gathered_work_failed")
            self._fail(batch, StorageError("internal error"))
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _results(self, items: Sequence[T]) -> Sequence[R]:
        if not self._shared:
            return await self._work(items)
        distinct = list(dict.fromkeys(items))
        found = dict(zip(distinct, await self._work(distinct), strict=True))
        return [found[item] for item in items]

    def _fail(self, batch: Sequence[tuple[T, "asyncio.Future[R]"]], error: StorageError) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(copy.copy(error))
