"""HTTP in front of a process: the routes of everything, one application."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiohttp import web

import chat
from chat.admin.live import Live
from chat.admin.live import running as live_running
from chat.admin.routes import Admin, admin_routes
from chat.admin.wiring import EngineConnections
from chat.auth.admin_secret import admin_secret
from chat.auth.mint import connection_token
from chat.auth.origin import OriginCheck
from chat.config import Config
from chat.description.routes import description_routes
from chat.docs.routes import docs_routes
from chat.gate import Gate
from chat.health import Health, health_routes
from chat.http.deps import HttpDeps
from chat.http.routes import http_middlewares, http_routes
from chat.metrics.loop_lag import sampled_loop_lag
from chat.metrics.routes import metrics_routes
from chat.metrics.snapshot import Hot
from chat.observing import StoreDependency, open_metrics
from chat.play.routes import DemoUser, Play, play_routes
from chat.process import Process, clock_ms, open_process
from chat.seed import USERS
from chat.vocabulary.render import CONVERSATION_PREFIX
from realtime.engine import Engine
from realtime.protocol.codes import DISCONNECTS

log = structlog.get_logger(__name__)

PLAY_TOKEN_TTL_S: Final = 600.0


@dataclass(slots=True)
class Running:
    """A process with its application. `draining` makes readiness fail and upgrades be refused.

    `port` is known once it listens. `on_drain` ends what would keep requests open for ever.
    """

    process: Process
    app: web.Application
    draining: bool = False
    on_drain: list[Callable[[], None]] = field(default_factory=list)
    port: int = 0


@asynccontextmanager
async def open_app(config: Config, *, demo: bool = False) -> AsyncIterator[Running]:
    """Open a process and build its application. The application owns nothing: leaving this block closes everything.

    `demo`: the seeded users exist, and the playground may sign in as them.
    """
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(open_process(config))
        metrics = await stack.enter_async_context(
            open_metrics(
                process.registry,
                process.who,
                role="hub",
                set_snapshot=process.redis.processes.set_snapshot,
                hot=lambda: _hot(process.engine),
            )
        )
        await stack.enter_async_context(sampled_loop_lag(process.stats.loop_lag.observe, monotonic=time.monotonic))
        origins = OriginCheck([*config.client.allowed_origins, *_own(config)])
        deps = _http_deps(process, origins)
        app = web.Application(client_max_size=config.limits.request_max_size, middlewares=http_middlewares(deps))
        running = Running(process, app)
        health = Health(
            required={"mongodb": StoreDependency(process.store)},
            optional={"redis": process.redis.bus},
            not_ready=lambda: "draining" if running.draining else None,
            monotonic=time.monotonic,
        )
        gate = Gate(
            process.engine.endpoint,
            origins,
            process.stats.connections_refused,
            config.client.connection_limit,
            draining=lambda: running.draining,
        )
        app.router.add_get("/connection/websocket", gate.websocket)
        app.add_routes(health_routes(health))
        app.add_routes(metrics_routes(metrics, token=config.server.metrics_token.reveal() or None))
        app.add_routes(http_routes(deps))
        app.add_routes(play_routes(_play(config, demo=demo)))
        app.add_routes(docs_routes(list(USERS) if demo else ()))
        app.add_routes(description_routes())
        if config.admin.enabled and (secret := admin_secret(config)):
            live = Live(
                process.redis.processes, lambda: metrics.snapshot, health, clock=clock_ms, monotonic=time.monotonic
            )
            await stack.enter_async_context(live_running(live))
            running.on_drain.append(live.close)
            app.add_routes(admin_routes(_admin(process, live, secret)))
        yield running


def _http_deps(process: Process, origins: OriginCheck) -> HttpDeps:
    config = process.config
    return HttpDeps(
        calls=process.calls,
        store=process.store,
        verifier=process.verifiers.connections,
        plain=process.plain,
        files=process.files,
        engine=process.engine,
        streams=process.redis.streams,
        presence=process.redis.presence,
        origins=origins,
        api_key=config.api.key,
        process=process.who.process,
        node=process.who.node,
        version=chat.__version__,
        clock_ms=clock_ms,
        monotonic=time.monotonic,
        max_body_bytes=config.limits.request_max_size,
        max_data_bytes=config.client.command_data_max_size,
    )


def _play(config: Config, *, demo: bool) -> Play:
    users = [DemoUser(user, name) for user, name in USERS.items()] if demo else []
    key = config.token.hmac_secret_key

    def mint(user: str) -> str:
        return connection_token(
            user, key, now_s=time.time(), ttl_s=PLAY_TOKEN_TTL_S, algorithm=config.token.hmac_algorithm
        )

    return Play(users, mint)


def _admin(process: Process, live: Live, secret: bytes) -> Admin:
    config, who = process.config, process.who
    return Admin(
        live=live,
        connections=EngineConnections(process.engine, process.redis.processes, process=who.process, node=who.node),
        claims=process.redis.claims,
        secret=secret,
        secure=config.server.secure,
        clock=clock_ms,
        monotonic=time.monotonic,
        started_at=clock_ms(),
        address=lambda request: request.remote or "",
        reasons={one.code: one.reason for one in DISCONNECTS},
        session_ttl_s=config.admin.session_ttl,
    )


def _hot(engine: Engine) -> list[Hot]:
    """The busiest conversations of this process."""
    return [
        Hot(one.channel.removeprefix(CONVERSATION_PREFIX), one.per_s, channel.subscribers)
        for one in engine.hub.hot.top(50)
        if one.channel.startswith(CONVERSATION_PREFIX) and (channel := engine.hub.channels.get(one.channel)) is not None
    ][:20]


def _own(config: Config) -> list[str]:
    return [config.server.public_url] if config.server.public_url else []
