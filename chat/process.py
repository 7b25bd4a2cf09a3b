"""The composition root: everything that one hub process is made of, opened in order and closed in reverse.

Nothing else builds these parts. Tests, `hubbub dev` and `hubbub serve` all come through here.
"""

import os
import random
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

import chat
from chat.auth.verifier import Verifiers, open_verifiers
from chat.backend.announcer import EngineAnnouncer, Publisher
from chat.backend.backend import BackendOptions, ChatBackend
from chat.backend.comings import open_comings
from chat.backend.conversing import ConversationChannels
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
from chat.limits.opening import RateLimits, connection_rates, open_limits
from chat.limits.sharing import sharing
from chat.metrics.methods import MethodStats
from chat.metrics.registry import process_registry
from chat.sealing import Sealer
from chat.shedding import Shedding
from chat.usecases import ports
from chat.usecases.access import Access
from chat.usecases.blocks import BlockLists
from chat.usecases.files import Files
from chat.usecases.freshness import Freshness
from chat.usecases.service import build_service
from chat.vocabulary import connecting
from realtime.engine import Engine, Links, Listener, open_engine
from realtime.protocol.machine import ConnectionSettings
from realtime.redis.opening import OpenRedis, open_redis
from realtime.redis.settings import RedisSettings
from realtime.settings import Settings
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
    stats: Stats
    registry: CollectorRegistry


def clock_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def open_process(config: Config) -> AsyncIterator[Process]:
    """Open everything. Raises what the store raises when it is away or not migrated; Redis may come later.

    Leaving waits for what is being written, at most a few seconds. Sockets must be closed before
    (`engine.endpoint.close_all`).
    """
    who = Who.of(config)
    registry = process_registry(chat.__version__)
    stats = Stats(registry)
    listener = Listener()
    async with AsyncExitStack() as stack:
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
            open_store(config.mongodb.url.reveal(), config.mongodb.database, registry=registry)
        )
        verifiers = await stack.enter_async_context(open_verifiers(config, clock=time.time, monotonic=time.monotonic))
        sealer = Sealer.from_config(config)
        await prove(store, sealer)
        enforcer = EngineEnforcer()
        restricting = Restricting(
            store, enforcer, verifiers.doubt, clock=time.time, interval_s=config.client.access_check_interval
        )
        verifiers.restrict(restricting)
        verifiers.on_withdrawn = enforcer.withdraw
        freshness = Freshness(
            time.monotonic,
            alive=lambda: redis.bus.alive,
            gaps=lambda: stats.bus_gaps,
            apart_s=config.client.access_check_interval,
        )
        access = Access(store, time.monotonic, clock_ms, freshness)
        announcer = EngineAnnouncer(store.epoch, access)
        block_lists = BlockLists(store, time.monotonic, freshness)
        outdating = EngineOutdating(block_lists)
        publisher = Publisher(store.epoch, access)
        store.appender.on_committed = publisher.committed
        store.appender.on_examined = access.examined
        store.appender.on_skipped = lambda conversation, _: access.forget(conversation)
        limits = ports.Limits(
            message_text_bytes=config.limits.message_text_max_size,
            user_id_pattern=re.compile(config.token.user_id_pattern),
            receipts_members=config.limits.receipts_members,
            mention_group_members=config.limits.mention_group_members,
            message_ttl_max_s=int(config.limits.message_ttl_max),
            presence_members=config.limits.presence_members,
        )
        uploading = await stack.enter_async_context(open_uploading(config))
        service = build_service(
            store,
            access,
            announcer,
            outdating,
            block_lists,
            redis.claims,
            redis.presence,
            limits,
            uploading,
            clock_ms,
            time.monotonic,
        )
        await stack.enter_async_context(service.reading)
        await stack.enter_async_context(service.typing)
        announcer.on_out = service.threads.forget
        calls = Calls(
            service,
            MethodStats(registry, METHOD_NAMES),
            Shedding(random.random),
            time.monotonic,
            lambda: store.appender.available,
        )
        store.appender.on_available = calls.store_changed
        plain = PlainChannels(
            Namespaces(config.channel),
            verifiers.subscriptions,
            insecure=config.client.insecure,
            max_missed=config.client.recovery_max_publication_limit,
        )
        feed = LogFeed(store, access, announcer.read_entries)
        threadless = Threadless(store, announcer.out)
        last_seen = await stack.enter_async_context(open_last_seen(store, clock_ms))

        def gone(user: str) -> None:
            last_seen.note(user)
            service.typing.gone(user)

        rate_limits = open_limits(config, stats.rate_limited, time.monotonic)
        await stack.enter_async_context(sharing(rate_limits.users, redis.rates, random=random.random))
        rounds = Rejoining(
            store, announcer, alive=lambda: redis.bus.alive, gaps=lambda: stats.bus_gaps, clock_ms=clock_ms
        )
        backend = ChatBackend(
            store,
            calls,
            verifiers.connections,
            plain,
            _conversing(config, store, access, feed),
            _options(config, uploads=uploading.files is not None),
            rate_limits,
            clock_ms=clock_ms,
            sessions_of=lambda user: len(engine.hub.users.get(user, ())),
            gone=gone,
            connecting=rounds.connecting,
        )
        engine = await stack.enter_async_context(
            open_engine(
                Links(listener, redis.bus, redis.streams, redis.presence, redis.processes),
                backend,
                LogHeads(store, feed, threadless.look),
                stats,
                _settings(config),
                process=who.process,
                node=who.node,
                version=f"Hubbub {chat.__version__}",
            )
        )
        announcer.attach(engine)
        threadless.attach(engine)
        rounds.attach(engine)
        await stack.enter_async_context(rejoining(rounds))
        engine.hub.on_heard = announcer.heard
        publisher.on_entries = announcer.committed
        outdating.attach(engine)
        feed.cursor_of = engine.hub.cursor_of
        publisher.attach(engine)
        enforcer.attach(engine)
        engine.operations.on_notice(NOTICE, lambda _: restricting.hear())

        def busy() -> bool:
            return stats.connecting >= BUSY_CONNECTING or calls.shedding.lag_s >= BUSY_LAG_S

        await stack.enter_async_context(open_comings(service.presence, redis.presence, time.monotonic, busy))
        files = uploading.files
        await stack.enter_async_context(restrictions_running(restricting))
        yield Process(
            config,
            who,
            store,
            redis,
            verifiers,
            engine,
            calls,
            plain,
            files,
            rate_limits,
            restricting,
            sealer,
            stats,
            registry,
        )


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


def _options(config: Config, *, uploads: bool) -> BackendOptions:
    client, personal, rates = config.client, config.client.subscribe_to_user_personal_channel, config.rate_limits
    sizes = ports.Limits()
    return BackendOptions(
        limits=connecting.Limits(
            message_text_bytes=config.limits.message_text_max_size,
            command_data_bytes=client.command_data_max_size,
            frame_bytes=client.frame_max_size,
            channels=client.channel_limit,
            page=200,
            conversations_on_connect=client.conversations_on_connect,
            conversations_to_recover=client.conversations_to_recover,
            upload_bytes=config.uploads.max_size if uploads else 0,
            upload_types=list(config.uploads.allowed_types),
            receipts_members=config.limits.receipts_members,
            mention_group_members=config.limits.mention_group_members,
            content_bytes=sizes.content_bytes,
            custom_bytes=sizes.custom_bytes,
            request_bytes=config.limits.request_max_size,
            recovery_entries=config.limits.recovery_max_entries,
            connections=client.user_connection_limit,
            commands_per_s=rates.connection_commands,
            commands_at_once=rates.connection_commands_burst,
            user_commands_per_s=rates.user_commands,
            user_commands_at_once=rates.user_commands_burst,
            sends_per_s=rates.user_sends,
            sends_at_once=rates.user_sends_burst,
        ),
        insecure=client.insecure,
        user_channel=client.subscribe_to_user_channel,
        personal=personal.personal_channel_namespace if personal.enabled else None,
        user_connection_limit=client.user_connection_limit,
    )


def _settings(config: Config) -> Settings:
    client = config.client
    return Settings(
        connection=ConnectionSettings(
            connect_timeout_s=client.stale_close_delay,
            ping_interval_s=client.ping_interval,
            pong_timeout_s=client.pong_timeout,
            expired_close_delay_s=client.expired_close_delay,
            max_command_data_bytes=client.command_data_max_size,
        ),
        rates=connection_rates(config),
        max_queued_bytes=client.queue_max_size,
        max_frame_bytes=client.frame_max_size,
        max_channels=client.channel_limit,
        max_history_publications=client.history_max_publication_limit,
        max_recovery_channel_bytes=config.limits.recovery_max_size,
        max_recovery_session_bytes=config.limits.recovery_session_max_size,
        expired_subscription_grace_s=client.expired_sub_close_delay,
    )
