"""Whether MongoDB answers. Known early, so that a send is refused at once instead of waiting for its deadline."""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import pymongo
import structlog
from pymongo.errors import WaitQueueTimeoutError

from storage.errors import StorageError, Unavailable
from storage.mongo.client import Database, translated

PROBE_TIMEOUT_S: Final = 2.0
"""More than a hiccup, and more than a round trip on a machine that is many times overloaded (measured: 1 s), where
refusing everything would only make it worse; with a second of doubt before it still below the 5 s that SDKs wait.
"""
PROBE_INTERVAL_S: Final = 0.25
ANYHOW_S: Final = 1.0
"""Without any doubt it is probed this often: who only reads would learn from the first deadline that it hangs, and a
driver that waits for a frozen server takes longer.
"""

DOUBT_AFTER_S: Final = 1.0
"""Whoever has waited for so long has reason to doubt."""

_logger = structlog.get_logger(__name__)


class Health:
    """Probes MongoDB once a second, and at once while there is reason to doubt it. An async context manager; owns the
    probing task.

    Doubt comes from the driver, which hears of a lost primary by itself, and from those who wait (`waiting_s` tells for
    how long the first of them has): both are looked at every PROBE_INTERVAL_S; or from whoever calls `doubt`.
    `available` turns False when a probe failed and True when one succeeded; `on_change` is called with it on the event
    loop.
    """

    def __init__(self, db: Database) -> None:
        self.available = True
        self.waiting_s: Callable[[], float] = lambda: 0.0
        self.on_change: Callable[[bool], None] = lambda _available: None
        self._db = db
        self._doubted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch(), name="mongodb-health")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def doubt(self) -> None:
        """Something took too long or failed: probe now."""
        self._doubted.set()

    async def ping_ms(self, *, timeout_s: float = PROBE_TIMEOUT_S) -> float:
        """Round trip to the primary. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            # The driver's deadline begins when one of its threads is free, and they may all be waiting for MongoDB.
            async with asyncio.timeout(timeout_s * 1.5):
                with translated(), pymongo.timeout(timeout_s):
                    await self._db.command("ping")
        except TimeoutError as error:
            raise Unavailable("MongoDB: every connection waits for it") from error
        return (loop.time() - started) * 1000

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        probed_at = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_INTERVAL_S):
                    await self._doubted.wait()
            by_chance = not self._has_signs()
            if by_chance and not self._is_waited_for() and loop.time() - probed_at < ANYHOW_S:
                continue
            self._doubted.clear()
            probed_at = loop.time()
            try:
                await self.ping_ms()
            except StorageError as error:
                if by_chance and isinstance(error.__cause__, WaitQueueTimeoutError):
                    continue  # so much is asked of MongoDB that there was no connection left: that is no sign of it
                if by_chance and not self._has_signs() and not self._is_waited_for():
                    self._doubted.set()  # a busy machine, or the beginning of something: asked once more, at once
                else:
                    self._set(available=False, reason=str(error))
            else:
                self._set(available=True)

    def _has_signs(self) -> bool:
        has_primary = self._db.client.delegate.topology_description.has_writable_server()
        return self._doubted.is_set() or not self.available or not has_primary

    def _is_waited_for(self) -> bool:
        """For longer than usual: which it may be for being away, or for having much to do."""
        return self.waiting_s() >= DOUBT_AFTER_S

    def _set(self, *, available: bool, reason: str = "") -> None:
        if available != self.available:
            self.available = available
            _logger.warning("mongodb_available" if available else "mongodb_away", reason=reason)
            try:
                self.on_change(available)
            except Exception:
                # Whoever listens has failed; that MongoDB is watched must not end with it.
                _logger.exception("mongodb_change_not_told")
