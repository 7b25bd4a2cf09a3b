"""The engine of one hub process: hub, endpoint, repair, catch-up and housekeeping, opened and closed as one."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from realtime.asking import Asking
from realtime.backend import Backend, Heads
from realtime.catchup import CatchUp
from realtime.hot import HotChannels
from realtime.hub import Hub
from realtime.keeper import Keeper
from realtime.operations import Operations
from realtime.ports import Attendance, Bus, Delivery, Presence, Processes, Streams
from realtime.reads import SharedReads
from realtime.repair import Repair
from realtime.session import Context
from realtime.settings import Settings
from realtime.stats import Stats
from realtime.tasks import Tasks
from realtime.websocket import WebSocketEndpoint

log = structlog.get_logger(__name__)

POLL_INTERVAL_S: Final = 2.0


class Listener:
    """Stands between the bus, which is opened first, and the engine, which needs it. Deaf until `attach`."""

    def __init__(self) -> None:
        self._hub: Hub | None = None
        self._operations: Operations | None = None
        self._repair: Repair | None = None

    def attach(self, hub: Hub, operations: Operations, repair: Repair) -> None:
        self._hub, self._operations, self._repair = hub, operations, repair

    def on_delivery(self, delivery: Delivery) -> None:
        if self._hub is not None:
            self._hub.heard(delivery)

    def on_control(self, payload: bytes) -> None:
        if self._operations is not None:
            self._operations.on_control(payload)

    def on_gap(self, channels: Sequence[str] | None) -> None:
        if self._repair is not None:
            self._repair.on_gap(channels)


@dataclass(frozen=True, slots=True)
class Links:
    """What the engine talks to the other processes with."""

    listener: Listener
    bus: Bus
    streams: Streams
    presence: Presence
    processes: Processes


@dataclass(frozen=True, slots=True)
class Engine:
    """The running parts that the product uses."""

    hub: Hub
    endpoint: WebSocketEndpoint
    operations: Operations
    reads: SharedReads
    stats: Stats
    running: "asyncio.Task[None]"
    """Ends only if the engine failed: the process is to end then."""


@asynccontextmanager
async def open_engine(
    links: Links,
    backend: Backend,
    heads: Heads,
    stats: Stats,
    settings: Settings,
    *,
    process: str,
    node: str,
    version: str,
    attendance: Attendance | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    random: Callable[[], float] = random.random,
) -> AsyncIterator[Engine]:
    """Run the engine until the block ends. Its sockets must be closed before (see `WebSocketEndpoint.close_all`).

    `attendance` is told of devices' connections.
    """
    hot = HotChannels(now=monotonic())
    hub = Hub(bus=links.bus, presence=links.presence, stats=stats, hot=hot)
    keeper = Keeper(hub, links.bus, links.presence, stats, monotonic)
    async with SharedReads() as reads, Tasks() as tasks:
        repair = Repair(hub, links.bus, heads, reads, stats, poll_interval_s=POLL_INTERVAL_S)
        operations = Operations(hub, links.bus, links.processes, heads, tasks, process=process)
        ctx = Context(
            hub=hub,
            backend=backend,
            bus=links.bus,
            streams=links.streams,
            presence=links.presence,
            stats=stats,
            tasks=tasks,
            operations=operations,
            settings=settings,
            clock=clock,
            monotonic=monotonic,
            random=random,
            wake=keeper.wake,
            version=version,
            node=node,
            attendance=attendance,
        )
        endpoint = WebSocketEndpoint(ctx)
        links.listener.attach(hub, operations, repair)
        catch_up = CatchUp(
            hub,
            reads,
            stats,
            tasks,
            max_channel_bytes=settings.max_recovery_channel_bytes,
            max_session_bytes=settings.max_recovery_session_bytes,
        )
        asking = None if attendance is None else Asking(hub, attendance, monotonic)
        runner = asyncio.create_task(_run(keeper, repair, catch_up, asking), name="engine")
        try:
            yield Engine(hub, endpoint, operations, reads, stats, runner)
        finally:
            runner.cancel()
            await asyncio.wait({runner})


async def _run(keeper: Keeper, repair: Repair, catch_up: CatchUp, asking: Asking | None) -> None:
    """The standing tasks. One that fails takes the process down: a hub without repair would lose in silence."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(keeper.run(), name="keeper")
            group.create_task(repair.run(), name="repair")
            group.create_task(catch_up.run(), name="catch-up")
            if asking is not None:
                group.create_task(asking.run(), name="asking")
    except Exception:
        log.exception("engine_failed")
        raise
