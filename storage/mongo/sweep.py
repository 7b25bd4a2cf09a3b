"""Tells logs of what a process that was killed has left. One process at a time, elected by a lease."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from storage.errors import StorageError
from storage.mongo.client import Database
from storage.mongo.due import DueMarks
from storage.mongo.lease import Lease
from storage.mongo.telling import Telling

OLDER_MS: Final = 3_000
"""How long the process that has made a mark is given to settle it itself."""

EVERY_S: Final = 1.0
ROUND: Final = 200
"""DueMarks looked at in one round; with as many there is a next round at once."""

LEASE_TTL_MS: Final = 10_000
_logger = structlog.get_logger(__name__)


class Sweep:
    """An async context manager with one task. Bounded work per round; what fails lets others have their turn."""

    def __init__(
        self,
        db: Database,
        telling: Telling,
        marks: DueMarks,
        *,
        owner: str,
        clock: Callable[[], int],
        older_ms: int = OLDER_MS,
    ) -> None:
        """`owner` names this process and run; no two may share one."""
        self._lease = Lease(db, "sweep", owner=owner, ttl_ms=LEASE_TTL_MS)
        self._telling = telling
        self._marks = marks
        self._clock = clock
        self._older_ms = older_ms
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="sweep")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def once(self) -> bool:
        """One round; whether there may be more to do at once. Raises Unavailable."""
        due = await self._marks.older(self._clock() - self._older_ms, ROUND)
        for one in due:
            try:
                # Where the log was told a moment ago, there is somebody who tells it.
                later = bool(await self._telling.tell(one))
            except StorageError as error:
                _logger.warning("log_not_told", kind=one.kind.value, conversation=one.conversation, reason=str(error))
                later = True
            if later:
                await self._marks.put_off(one, self._clock())
        return bool(due)

    async def _run(self) -> None:
        while True:
            more = False
            try:
                if await self._lease.acquire() is not None:
                    more = await self.once()
            except StorageError as error:
                _logger.warning("sweep_interrupted", reason=str(error))
            except Exception:
                _logger.exception("sweep_failed")
            if not more:
                await asyncio.sleep(EVERY_S)
