"""HTTP in front of a process: the routes of everything, one application."""

import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

import chat
from chat.auth.origin import OriginCheck
from chat.config import Config
from chat.health import Health, health_routes
from chat.metrics.loop_lag import sampled_loop_lag
from chat.metrics.node import NodeMetrics, published
from chat.metrics.routes import metrics_routes
from chat.metrics.run_directory import RunDirectory
from chat.metrics.snapshot import Hot, Identity
from chat.process import Process, clock_ms, open_process

log = structlog.get_logger(__name__)

RETRY_AFTER_S = "2"


@dataclass(slots=True)
class Running:
    """A process with its application. `draining` makes readiness fail and upgrades be refused."""

    process: Process
    app: web.Application
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """Admits or refuses an upgrade before it happens: browsers of foreign pages, and what is over the limit."""

    running: Running
    origins: OriginCheck

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        process = self.running.process
        refused = process.stats.connections_refused
        if not self.origins.allows(request.headers.getall("Origin", []), host=request.host):
            refused["origin"] += 1
            log.info("origin_refused", origin=request.headers.get("Origin", "")[:200], key="client.allowed_origins")
            raise web.HTTPForbidden(text="this origin is not in client.allowed_origins\n")
        limit = process.config.client.connection_limit
        if self.running.draining:
            refused["draining"] += 1
            raise web.HTTPServiceUnavailable(headers={"Retry-After": RETRY_AFTER_S}, text="shutting down\n")
        if limit and len(process.engine.endpoint.open) >= limit:
            refused["overload"] += 1
            raise web.HTTPServiceUnavailable(headers={"Retry-After": RETRY_AFTER_S}, text="too many connections\n")
        return await process.engine.endpoint.handle(request)


@asynccontextmanager
async def open_app(config: Config) -> AsyncIterator[Running]:
    """Open a process and build its application. The application owns nothing: leaving this block closes everything."""
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(open_process(config))
        metrics = await stack.enter_async_context(_open_metrics(process))
        await stack.enter_async_context(sampled_loop_lag(process.stats.loop_lag.observe, monotonic=time.monotonic))
        app = web.Application(client_max_size=config.limits.request_max_size)
        running = Running(process, app)
        health = Health(
            required={"mongodb": process.store},
            optional={"redis": process.redis.bus},
            not_ready=lambda: "draining" if running.draining else None,
            monotonic=time.monotonic,
        )
        gate = Gate(running, OriginCheck([*config.client.allowed_origins, *_own(config)]))
        app.router.add_get("/connection/websocket", gate.websocket)
        app.add_routes(health_routes(health))
        app.add_routes(metrics_routes(metrics, token=None))
        yield running


def _own(config: Config) -> list[str]:
    return [config.server.public_url] if config.server.public_url else []


@asynccontextmanager
async def _open_metrics(process: Process) -> AsyncIterator[NodeMetrics]:
    engine, who = process.engine, process.who
    identity = Identity(
        process=who.process,
        node=who.node,
        slot=os.environ.get("HUBBUB_SLOT", "0"),
        role="hub",
        pid=os.getpid(),
        version=chat.__version__,
        started_at=clock_ms(),
    )

    def hot() -> list[Hot]:
        return [
            Hot(one.channel, one.per_s, channel.subscribers)
            for one in engine.hub.hot.top(20)
            if (channel := engine.hub.channels.get(one.channel)) is not None
        ]

    with tempfile.TemporaryDirectory(prefix="hubbub-metrics-") as own:
        metrics = NodeMetrics(
            process.registry,
            RunDirectory(Path(os.environ.get("HUBBUB_RUN_DIR", own)), who.process),
            identity,
            clock=clock_ms,
            hot=hot,
            set_snapshot=process.redis.processes.set_snapshot,
        )
        async with published(metrics):
            yield metrics
