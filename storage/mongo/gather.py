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

    An async context manager; owns its tasks. More than `limit` waiting items are refused. What is asked for when it
    ends is still done.
    """

    def __init__(
        self, work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, batch: int, limit: int, at_once: int = 1
    ) -> None:
        """`work` gives one result per item, in order, or raises a StorageError for all of them."""
        self._work = work
        self._batch = batch
        self._limit = limit
        self._at_once = at_once
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
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._asked.set()
        return await future

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            await self._asked.wait()
            batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            if batch:
                await self._do(batch)
            if not self._waiting and not self._closing:
                self._asked.clear()

    async def _do(self, batch: Sequence[tuple[T, "asyncio.Future[R]"]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except StorageError as error:
            self._fail(batch, error)
        except Exception:
            _logger.exception("gathered_work_failed")
            self._fail(batch, StorageError("internal error"))
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _fail(self, batch: Sequence[tuple[T, "asyncio.Future[R]"]], error: StorageError) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(copy.copy(error))
