"""The composition root: everything that one hub process is made of, opened in order and closed in reverse.

Nothing else builds these parts. Tests, `hubbub dev` and `hubbub serve` all come through here.
"""

import os
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

import chat
from chat.auth.verifier import Verifiers, open_verifiers
from chat.backend.announcer import EngineAnnouncer, Publisher
from chat.backend.backend import ChatBackend
from chat.backend.comings import open_comings
from chat.backend.conversing import ConversationChannels
from chat.backend.devices_online import open_devices_online, ttl_s
from chat.backend.hearing import Hearing
from chat.backend.lastseen import open_last_seen
from chat.backend.logfeed import LogFeed, LogHeads
from chat.backend.notices import EngineOutdating
from chat.backend.plain import PlainChannels
from chat.backend.rejoining import Rejoining, rejoining
from chat.backend.threadless import Threadless
from chat.calls import Calls
from chat.channels import Namespaces
from chat.config import Config
from chat.control.enforcing import NOTICE, EngineEnforcer
from chat.control.proving import prove
from chat.control.restricting import Restricting
from chat.control.restricting import running as restrictions_running
from chat.files.opening import open_uploading
from chat.http.routes import METHOD_NAMES
from chat.limits.opening import RateLimits, open_limits
from chat.limits.sharing import sharing
from chat.metrics.methods import MethodStats
from chat.metrics.registry import process_registry
from chat.push.clearing import open_clearing
from chat.push.endpoints import Endpoints
from chat.push.lab.whereabouts import whereabouts
from chat.push.trials import Trials
from chat.push.waking import Waker
from chat.sealing import Sealer
from chat.settings import backend_options, engine_settings, usecase_limits
from chat.shedding import Shedding
from chat.usecases.access import Access
from chat.usecases.blocks import BlockLists
from chat.usecases.files import Files
from chat.usecases.freshness import Freshness
from chat.usecases.service import build_service
from realtime.engine import Engine, Links, Listener, open_engine
from realtime.redis.opening import OpenRedis, open_redis
from realtime.redis.settings import RedisSettings
from realtime.stats import Stats
from storage.store import Store, open_store

BUSY_CONNECTING: Final = 16
BUSY_LAG_S: Final = 0.2
"""With so many connects in progress, or so late an event loop, what is best effort makes room."""


@dataclass(frozen=True, slots=True)
class Who:
    """Names of this process: `process` is unique over all time, `node` is the machine's."""

    process: str
    node: str

    @classmethod
    def of(cls, config: Config) -> "Who":
        node = config.server.node_name or socket.gethostname() or "node"
        return cls(f"{os.getpid():x}-{uuid.uuid4().hex[:12]}", node)


@dataclass(frozen=True, slots=True)
class Process:
    """The running parts, for whoever puts HTTP in front of them."""

    config: Config
    who: Who
    store: Store
    redis: OpenRedis
    verifiers: Verifiers
    engine: Engine
    calls: Calls
    plain: PlainChannels
    files: Files | None
    limits: RateLimits
    restricting: Restricting
    sealer: Sealer
    trials: Trials
    stats: Stats
    registry: CollectorRegistry
    random: Callable[[], float]
    """From 0 up to 1: for what must not happen to all at once, not for secrets."""


def clock_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on."""

    config: Config
    who: Who
    registry: CollectorRegistry
    stats: Stats
    listener: Listener
    redis: OpenRedis
    store: Store
    random: Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Doors:
    """Who may come in, and who is put out again."""

    verifiers: Verifiers
    sealer: Sealer
    enforcer: EngineEnforcer
    restricting: Restricting


@dataclass(frozen=True, slots=True)
class _News:
    """Who hears of what has changed: this process' own memory of who is what, its sessions, the other processes."""

    access: Access
    block_lists: BlockLists
    announcer: EngineAnnouncer
    outdating: EngineOutdating
    publisher: Publisher
    rejoining: Rejoining
    threadless: Threadless
    hearing: Hearing

    def attach(self, engine: Engine) -> None:
        for one in (self.announcer, self.outdating, self.publisher, self.rejoining, self.threadless):
            one.attach(engine)
        engine.hub.on_heard = self.hearing.heard
        self.publisher.on_entries = self.announcer.committed


@dataclass(frozen=True, slots=True)
class _Product:
    """What users do, free of transports."""

    calls: Calls
    plain: PlainChannels
    rates: RateLimits
    files: Files | None
    trials: Trials


@asynccontextmanager
async def open_process(config: Config) -> AsyncIterator[Process]:
    """Open everything. Raises what the store raises when it is away or not migrated; Redis may come later.

    Leaving waits for what is being written, at most a few seconds. Sockets must be closed before
    (`engine.endpoint.close_all`).
    """
    async with AsyncExitStack() as stack:
        ground = await _open_ground(stack, config)
        doors = await _open_doors(stack, ground)
        news = _news(ground)
        product = await _open_product(stack, ground, doors, news)
        engine = await _open_engine(stack, ground, doors, news, product)
        yield Process(
            config,
            ground.who,
            ground.store,
            ground.redis,
            doors.verifiers,
            engine,
            product.calls,
            product.plain,
            product.files,
            product.rates,
            doors.restricting,
            doors.sealer,
            product.trials,
            ground.stats,
            ground.registry,
            ground.random,
        )


async def _open_ground(stack: AsyncExitStack, config: Config) -> _Ground:
    who = Who.of(config)
    registry = process_registry(chat.__version__)
    stats = Stats(registry)
    listener = Listener()
    redis = await stack.enter_async_context(
        open_redis(
            [url.reveal() for url in config.redis.urls],
            prefix=f"{config.redis.prefix}:",
            process=who.process,
            node=who.node,
            listener=listener,
            settings=RedisSettings(offline_grace_s=config.limits.presence_grace),
        )
    )
    store = await stack.enter_async_context(
        open_store(config.mongodb.url.reveal(), config.mongodb.database, registry=registry, process=who.process)
    )
    # A generator of its own: whoever shares the process, as a test does, keeps the state of theirs.
    return _Ground(config, who, registry, stats, listener, redis, store, random.Random().random)  # noqa: S311 - jitter


async def _open_doors(stack: AsyncExitStack, ground: _Ground) -> _Doors:
    config, store = ground.config, ground.store
    verifiers = await stack.enter_async_context(open_verifiers(config, clock=time.time, monotonic=time.monotonic))
    sealer = Sealer.from_config(config)
    await prove(store, sealer)
    enforcer = EngineEnforcer()
    restricting = Restricting(
        store, enforcer, verifiers.doubt, clock=time.time, interval_s=config.client.access_check_interval
    )
    verifiers.restrict(restricting)
    verifiers.on_withdrawn = enforcer.withdraw
    return _Doors(verifiers, sealer, enforcer, restricting)


def _news(ground: _Ground) -> _News:
    store, bus, stats = ground.store, ground.redis.bus, ground.stats
    freshness = Freshness(
        time.monotonic,
        alive=lambda: bus.alive,
        gaps=lambda: stats.bus_gaps,
        apart_s=ground.config.client.access_check_interval,
    )
    access = Access(store, time.monotonic, clock_ms, freshness)
    announcer = EngineAnnouncer(store.epoch, access)
    block_lists = BlockLists(store, time.monotonic, freshness)
    publisher = Publisher(store.epoch, access)
    store.appender.on_committed = publisher.committed
    store.appender.on_examined = access.examined
    store.appender.on_skipped = lambda conversation, _: access.forget(conversation)
    return _News(
        access,
        block_lists,
        announcer,
        EngineOutdating(block_lists),
        publisher,
        Rejoining(store, announcer, alive=lambda: bus.alive, gaps=lambda: stats.bus_gaps, clock_ms=clock_ms),
        Threadless(store, announcer.out),
        Hearing(store.epoch, store.appender.heard, announcer.heard),
    )


async def _open_product(stack: AsyncExitStack, ground: _Ground, doors: _Doors, news: _News) -> _Product:
    config, store, redis, registry = ground.config, ground.store, ground.redis, ground.registry
    uploading = await stack.enter_async_context(open_uploading(config))
    waker = Waker(redis.bus.control, process=ground.who.process, monotonic=time.monotonic, own=_nobody)
    trials = Trials(store.push_jobs, clock_ms=clock_ms, wake=waker)
    service = build_service(
        store,
        news.access,
        news.announcer,
        news.outdating,
        news.block_lists,
        redis.claims,
        redis.presence,
        usecase_limits(config),
        uploading,
        Endpoints(store, loopback=whereabouts() is not None),
        redis.client_states,
        trials,
        clock_ms,
        time.monotonic,
    )
    clearing = await stack.enter_async_context(open_clearing(store.push_jobs, clock_ms=clock_ms))
    service.reading.on_read = clearing.note
    await stack.enter_async_context(service.reading)
    await stack.enter_async_context(service.typing)
    news.announcer.on_out = service.threads.forget
    calls = Calls(
        service,
        MethodStats(registry, METHOD_NAMES),
        Shedding(ground.random),
        time.monotonic,
        lambda: store.appender.available,
    )
    store.appender.on_available = calls.store_changed
    store.health.waiting_s = calls.waiting_s
    rates = open_limits(config, ground.stats.rate_limited, time.monotonic)
    await stack.enter_async_context(sharing(rates.users, redis.rates, random=ground.random))
    return _Product(calls, _plain_channels(config, doors.verifiers), rates, uploading.files, trials)


def _nobody() -> None:
    """A hub sends no notifications itself."""


def _plain_channels(config: Config, verifiers: Verifiers) -> PlainChannels:
    return PlainChannels(
        Namespaces(config.channel),
        verifiers.subscriptions,
        insecure=config.client.insecure,
        max_missed=config.client.recovery_max_publication_limit,
    )


async def _open_engine(stack: AsyncExitStack, ground: _Ground, doors: _Doors, news: _News, product: _Product) -> Engine:
    config, store, redis, stats = ground.config, ground.store, ground.redis, ground.stats
    calls, service = product.calls, product.calls.service
    feed = LogFeed(store, news.access, news.announcer.read_entries)
    last_seen = await stack.enter_async_context(open_last_seen(store, clock_ms))

    def gone(user: str) -> None:
        last_seen.note(user)
        service.typing.gone(user)

    client = config.client
    ttl = ttl_s(client.ping_interval, client.pong_timeout)
    devices_online = await stack.enter_async_context(
        open_devices_online(redis.device_connections, ttl_s=ttl, clock_ms=clock_ms)
    )
    backend = ChatBackend(
        store,
        calls,
        doors.verifiers.connections,
        product.plain,
        _conversing(config, store, news.access, feed),
        backend_options(config, uploads=product.files is not None),
        product.rates,
        clock_ms=clock_ms,
        sessions_of=lambda user: len(engine.hub.users.get(user, ())),
        gone=gone,
        connecting=news.rejoining.connecting,
    )
    engine = await stack.enter_async_context(
        open_engine(
            Links(ground.listener, redis.bus, redis.streams, redis.presence, redis.processes),
            backend,
            LogHeads(store, feed, news.threadless.look),
            stats,
            engine_settings(config),
            process=ground.who.process,
            node=ground.who.node,
            version=f"Hubbub {chat.__version__}",
            attendance=devices_online,
            random=ground.random,
        )
    )
    feed.cursor_of = engine.hub.cursor_of
    news.attach(engine)
    doors.enforcer.attach(engine)
    engine.operations.on_notice(NOTICE, lambda _: doors.restricting.hear())

    def busy() -> bool:
        return stats.connecting >= BUSY_CONNECTING or calls.shedding.lag_s >= BUSY_LAG_S

    await stack.enter_async_context(open_comings(service.presence, redis.presence, time.monotonic, busy))
    await stack.enter_async_context(rejoining(news.rejoining))
    await stack.enter_async_context(restrictions_running(doors.restricting))
    return engine


def _conversing(config: Config, store: Store, access: Access, feed: LogFeed) -> ConversationChannels:
    return ConversationChannels(
        store,
        access,
        feed,
        clock_ms,
        on_connect=config.client.conversations_on_connect,
        to_recover=config.client.conversations_to_recover,
        max_missed=config.limits.recovery_max_entries,
    )
