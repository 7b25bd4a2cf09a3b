"""HTTP in front of a process: the routes of everything, one application."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

import chat
from chat.admin.http import strict_transport
from chat.admin.live import Live
from chat.admin.live import running as live_running
from chat.admin.pushes import Pushes
from chat.admin.routes import Admin, admin_routes
from chat.admin.wiring import EngineConnections
from chat.admission import Admission, AdmissionSettings
from chat.auth.admin_secret import admin_secret
from chat.auth.mint import connection_token
from chat.auth.origin import OriginCheck
from chat.config import Config
from chat.description.routes import description_routes
from chat.docs.routes import docs_routes
from chat.gate import Gate, used_memory_bytes, within_descriptors
from chat.health import Health, health_routes
from chat.http.addresses import ClientAddresses
from chat.http.deps import HttpDeps
from chat.http.routes import http_middlewares, http_routes
from chat.metrics.loop_lag import sampled_loop_lag
from chat.metrics.routes import metrics_routes
from chat.metrics.snapshot import Hot
from chat.observing import StoreDependency, open_metrics
from chat.play.routes import DemoUser, Play, play_routes
from chat.process import Process, clock_ms, open_process
from chat.push import resetting
from chat.push.lab.whereabouts import Whereabouts
from chat.push.reviving import reviving_of
from chat.seed import USERS
from chat.serving.draining import Leaving
from chat.vocabulary.render import CONVERSATION_PREFIX
from realtime.engine import Engine
from realtime.protocol.codes import DISCONNECTS

log = structlog.get_logger(__name__)

PLAY_TOKEN_TTL_S: Final = 600.0


@dataclass(slots=True)
class Running:
    """A process with its application. `port` is known once it listens."""

    process: Process
    app: web.Application
    leaving: Leaving
    port: int = 0


@asynccontextmanager
async def open_app(config: Config, *, demo: bool = False, phones: Whereabouts | None = None) -> AsyncIterator[Running]:
    """Open a process and build its application. The application owns nothing: leaving this block closes everything.

    `demo`: the seeded users exist, and the playground may sign in as them. `phones`: where those of theirs are.
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
        admission = Admission(_admission(config), now=time.monotonic(), random=process.random)

        def late(lag_s: float) -> None:
            process.stats.loop_lag.observe(lag_s)
            now = time.monotonic()
            oldest = next(iter(process.stats.connects.values()), now)
            admission.lagged(lag_s, now, connect_s=now - oldest)
            process.calls.shedding.lagged(lag_s)

        await stack.enter_async_context(sampled_loop_lag(late, monotonic=time.monotonic))
        origins = OriginCheck([*config.client.allowed_origins, *_own(config)])
        addresses = ClientAddresses(config.server.trusted_proxies, config.server.proxy_header)
        deps = _http_deps(process, origins, addresses)
        leaving = Leaving()
        app = web.Application(
            client_max_size=config.limits.request_max_size,
            middlewares=[leaving.requests.counted, *http_middlewares(deps)],
        )
        health = Health(
            required={"mongodb": StoreDependency(process.store)},
            optional={"redis": process.redis.bus},
            not_ready=lambda: "draining" if leaving.begun else None,
            monotonic=time.monotonic,
        )
        gate = Gate(
            process.engine.endpoint,
            origins,
            process.stats,
            admission,
            within_descriptors(config.client.connection_limit),
            draining=lambda: leaving.draining,
            monotonic=time.monotonic,
            random=process.random,
            addresses=addresses,
            limits=process.limits.addresses,
            memory_bytes=used_memory_bytes if config.admission.memory else lambda: 0,
        )
        app.router.add_get("/connection/websocket", gate.websocket)
        app.add_routes(health_routes(health))
        app.add_routes(metrics_routes(metrics, token=config.server.metrics_token.reveal() or None))
        app.add_routes(http_routes(deps))
        app.add_routes(play_routes(_play(config, demo=demo, phones=phones)))
        app.add_routes(docs_routes(list(USERS) if demo else ()))
        app.add_routes(description_routes())
        if config.admin.enabled and (secret := admin_secret(config)):
            live = Live(
                process.redis.processes, lambda: metrics.snapshot, health, clock=clock_ms, monotonic=time.monotonic
            )
            await stack.enter_async_context(live_running(live))
            leaving.on_drain.append(live.close)
            if config.server.secure:
                app.on_response_prepare.append(strict_transport)
            app.add_routes(admin_routes(_admin(process, live, secret, addresses)))
        yield Running(process, app, leaving)


def _admission(config: Config) -> AdmissionSettings:
    table = config.admission
    return AdmissionSettings(
        upgrades_per_s=table.upgrades_per_second,
        burst=table.burst,
        connecting=table.connecting,
        lag_s=table.loop_lag,
        memory_bytes=table.memory,
    )


def _http_deps(process: Process, origins: OriginCheck, addresses: ClientAddresses) -> HttpDeps:
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
        addresses=addresses,
        limits=process.limits,
        restricting=process.restricting,
        process=process.who.process,
        node=process.who.node,
        version=chat.__version__,
        clock_ms=clock_ms,
        monotonic=time.monotonic,
        max_body_bytes=config.limits.request_max_size,
        max_data_bytes=config.client.command_data_max_size,
    )


def _play(config: Config, *, demo: bool, phones: Whereabouts | None) -> Play:
    users = [DemoUser(user, name) for user, name in USERS.items()] if demo else []
    key = config.token.hmac_secret_key

    def mint(user: str) -> str:
        return connection_token(
            user, key, now_s=time.time(), ttl_s=PLAY_TOKEN_TTL_S, algorithm=config.token.hmac_algorithm
        )

    return Play(users, mint, urlsplit(config.server.public_url).hostname or "", phones)


def _admin(process: Process, live: Live, secret: bytes, addresses: ClientAddresses) -> Admin:
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
        address=addresses.of,
        limits=process.limits.addresses,
        reasons={one.code: one.reason for one in DISCONNECTS},
        session_ttl_s=config.admin.session_ttl,
        pushes=_pushes(config, process, live),
    )


def _pushes(config: Config, process: Process, live: Live) -> Pushes:
    def tell_reset(lane: str) -> None:
        process.engine.operations.notify(resetting.SUBJECT, resetting.encode(lane))

    reviving = reviving_of(config.push, process.store, clock_ms=clock_ms)
    return Pushes(process.store, process.trials, reviving, live.push_lanes, clock_ms=clock_ms, tell_reset=tell_reset)


def _hot(engine: Engine) -> list[Hot]:
    """The busiest conversations of this process."""
    return [
        Hot(one.channel.removeprefix(CONVERSATION_PREFIX), one.per_s, channel.subscribers)
        for one in engine.hub.hot.top(50)
        if one.channel.startswith(CONVERSATION_PREFIX) and (channel := engine.hub.channels.get(one.channel)) is not None
    ][:20]


def _own(config: Config) -> list[str]:
    return [config.server.public_url] if config.server.public_url else []
