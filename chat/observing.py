"""What a process tells of itself: its metrics for the node, its snapshot for the admin page, its health."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry

import chat
from chat.metrics.node import NodeMetrics, published
from chat.metrics.run_directory import RunDirectory
from chat.metrics.snapshot import Hot, Identity, Lane
from chat.process import Who, clock_ms
from storage.errors import StorageError
from storage.store import Store

RUN_DIRECTORY_VARIABLE = "HUBBUB_RUN_DIR"
"""Where the processes of a node share their metrics; set by whoever starts several of them."""

SLOT_VARIABLE = "HUBBUB_SLOT"
"""The place of a process on its node, which outlives it."""


@dataclass(frozen=True, slots=True)
class StoreDependency:
    """The store as health sees it: away is a ConnectionError."""

    store: Store

    async def ping_ms(self) -> float:
        try:
            return await self.store.ping_ms()
        except StorageError as error:
            raise ConnectionError(str(error)) from error


@asynccontextmanager
async def open_metrics(
    registry: CollectorRegistry,
    who: Who,
    *,
    role: Literal["hub", "worker"],
    set_snapshot: Callable[[bytes], None],
    hot: Callable[[], Sequence[Hot]] | None = None,
    lanes: Callable[[], Sequence[Lane]] | None = None,
) -> AsyncIterator[NodeMetrics]:
    """Publish this process' metrics once a second until the block ends. A worker that pushes tells its `lanes`."""
    identity = Identity(
        process=who.process,
        node=who.node,
        slot=os.environ.get(SLOT_VARIABLE, "worker" if role == "worker" else "0"),
        role=role,
        pid=os.getpid(),
        version=chat.__version__,
        started_at=clock_ms(),
    )
    with tempfile.TemporaryDirectory(prefix="hubbub-metrics-") as own:
        directory = RunDirectory(Path(os.environ.get(RUN_DIRECTORY_VARIABLE, own)), who.process)
        metrics = NodeMetrics(
            registry, directory, identity, clock=clock_ms, hot=hot, lanes=lanes, set_snapshot=set_snapshot
        )
        async with published(metrics):
            yield metrics
