"""Doing together what is asked about the same thing at the same time; different things side by side."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import structlog

from storage.errors import Overloaded, StorageError, Unavailable

_logger = structlog.get_logger(__name__)

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")


class Grouping(Generic[K, T, R]):
    """Hands what was asked about one key to `work`, `batch` items at most; never twice at a time for one key.

    Up to `at_once` keys are worked on side by side. More than `limit` waiting items are refused. An async context
    manager; owns its tasks. What is asked for when it ends is still done.
    """

    def __init__(
        self,
        work: Callable[[K, Sequence[T]], Awaitable[Sequence[R | StorageError]]],
        *,
        batch: int,
        limit: int,
        at_once: int,
    ) -> None:
        """`work` gives a result or an error per item, in order, or raises a StorageError for all of them."""
        self._work = work
        self._batch = batch
        self._limit = limit
        self._room = asyncio.Semaphore(at_once)
        self._waiting: dict[K, list[tuple[T, asyncio.Future[R]]]] = {}
        self._count = 0
        self._tasks: dict[K, asyncio.Task[None]] = {}
        self._closing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        await asyncio.gather(*self._tasks.values())

    async def ask(self, key: K, item: T) -> R:
        """Have the item done and wait for its result. Cancelling does not take it back. Raises Overloaded."""
        if self._closing:
            raise Unavailable("the process is going down")
        if self._count >= self._limit:
            raise Overloaded("too many are waiting for MongoDB")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append((item, future))
        self._count += 1
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._run(key), name="grouped-work")
        return await future

    async def _run(self, key: K) -> None:
        while waiting := self._waiting.pop(key, None):
            async with self._room:
                # While it waited for room, more may have come.
                waiting += self._waiting.pop(key, ())
                batch, rest = waiting[: self._batch], waiting[self._batch :]
                if rest:
                    self._waiting[key] = rest
                self._count -= len(batch)
                await self._do(key, batch)
        del self._tasks[key]

    async def _do(self, key: K, batch: Sequence[tuple[T, "asyncio.Future[R]"]]) -> None:
        results: Sequence[R | StorageError]
        try:
            results = await self._work(key, [item for item, _ in batch])
        except StorageError as error:
            results = [error] * len(batch)
        except Exception:
            _logger.exception("grouped_work_failed")
            results = [StorageError("internal error")] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, StorageError):
                future.set_exception(copy.copy(result))
            else:
                future.set_result(result)
