"""Writes traces behind what they tell of: nobody waits for them, and nothing fails because of them."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from storage.errors import StorageError
from storage.model.push import Trace
from storage.mongo.push_traces import PushTraces

log = structlog.get_logger(__name__)

EVERY_S: Final = 0.25
BATCH: Final = 500
MAX_WAITING: Final = 20_000
"""Traces that wait to be written. Beyond them the oldest are lost."""


def _nothing(trace: Trace) -> None:
    del trace


class Tracer:
    """An async context manager with one task; leaving writes what waits. What cannot be written is lost and counted."""

    def __init__(self, traces: PushTraces, *, limit: int = MAX_WAITING) -> None:
        self._traces = traces
        self._waiting: deque[Trace] = deque()
        self._limit = limit
        self._task: asyncio.Task[None] | None = None
        self.lost = 0
        self.on_trace: Callable[[Trace], None] = _nothing
        """Told of each step at once."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="push-traces")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    def add(self, trace: Trace) -> None:
        """To be written within `EVERY_S`."""
        self.on_trace(trace)
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(trace)

    async def flush(self) -> None:
        """Write what waits. Raises nothing but cancellation."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._traces.write(batch)
            except StorageError as error:
                self.lost += len(batch)
                log.warning("push_traces_lost", traces=len(batch), reason=str(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.flush()
            except Exception:
                log.exception("push_traces_failed")
