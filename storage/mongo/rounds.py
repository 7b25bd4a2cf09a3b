"""Work that is done in rounds by one process of many, elected by a lease."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import structlog

from storage.errors import StorageError
from storage.mongo.client import Database
from storage.mongo.lease import Held, Lease

LEASE_TTL_MS: Final = 10_000
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """`once` does a bounded round and says whether there may be more at once; else the next one is `every_s` later."""

    name: str
    every_s: float
    once: Callable[[], Awaitable[bool]]


class Rounds:
    """An async context manager with a task for each work. What fails is logged, and has its next round as usual.

    A process that ends lets the next one have the lease at once; one that is killed, after `LEASE_TTL_MS`.
    """

    def __init__(self, db: Database, name: str, works: Sequence[Work], *, owner: str) -> None:
        """`owner` names this process and run; no two may share one."""
        self._lease = Lease(db, name, owner=owner, ttl_ms=LEASE_TTL_MS)
        self._works = works
        self._held: Held | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(work), name=work.name) for work in self._works]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._held is None:
            return
        try:
            await self._lease.release(self._held.fence)
        except StorageError as reason:
            _logger.warning("lease_not_released", reason=str(reason))

    async def _run(self, work: Work) -> None:
        while True:
            more = False
            try:
                self._held = await self._lease.acquire()
                if self._held is not None:
                    more = await work.once()
            except StorageError as error:
                _logger.warning("round_interrupted", work=work.name, reason=str(error))
            except Exception:
                _logger.exception("round_failed", work=work.name)
            if not more:
                await asyncio.sleep(work.every_s)
