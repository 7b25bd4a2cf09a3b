"""The worker's process: keeps what is derived from the log right, also after a hub was killed, tells devices of what is
unread, and tidies up: deletes what has expired, and removes what is older than it may be kept.
"""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvloop
from prometheus_client import CollectorRegistry

import chat
from chat.backend.announcer import BusPublisher
from chat.config import Config
from chat.files.opening import open_sweeping
from chat.metrics.registry import process_registry
from chat.observing import open_metrics
from chat.process import Who, clock_ms
from chat.push.configured import milliseconds
from chat.push.opening import Pushing, open_pushing
from chat.push.resetting import SUBJECT as RESET
from chat.push.resetting import on_reset
from chat.push.showing import shown
from chat.push.states import states_together
from chat.push.tidying import TidyingSettings, open_tidying
from chat.push.waking import WAKE, NoticeListener
from chat.serving.ending import stopping_within
from chat.serving.garbage import seldom_collected
from chat.serving.reloading import Source, reloading
from chat.serving.signals import happens_within
from chat.usecases.blocks import BlockLists
from chat.usecases.clientstates import ClientStates
from chat.usecases.unread import Unreads
from realtime.redis.opening import OpenRedis, open_redis
from storage.errors import Unavailable
from storage.store import Store, open_follower, open_store

log = structlog.get_logger(__name__)

STORE_RETRY_S = 2.0


def main(config: Config, source: Source | None = None) -> int:
    """Run until SIGTERM or SIGINT. `source` is what SIGHUP reads again. Returns the exit code."""
    return uvloop.run(run(config, source))


async def run(config: Config, source: Source | None = None) -> int:
    """Follow the log whenever this worker is the elected one, and stand by otherwise. Raises NotMigrated.

    Told to stop, it breaks off what can be done again, gives its leases to who stands by, and is gone within
    `server.shutdown_timeout`.
    """
    stopping = stopping_within(config.server.shutdown_timeout)
    async with reloading(config, source) as reloader, stopping.listening(reloader.ask):
        while not stopping.asked.is_set():
            try:
                async with open_worker(config):
                    with seldom_collected():
                        await stopping.asked.wait()
                    log.info("stopping")
            except Unavailable as error:
                log.warning("waiting_for_mongodb", error=str(error), retry_s=STORE_RETRY_S)
                await happens_within(stopping.asked, STORE_RETRY_S)
    return 0


@asynccontextmanager
async def open_worker(config: Config) -> AsyncIterator[None]:
    """A running follower that is seen in the metrics of its node and on the admin page. Raises Unavailable,
    NotMigrated.
    """
    who = Who.of(config)
    registry = process_registry(chat.__version__)
    listener = NoticeListener(who.process)
    url, database = config.mongodb.url.reveal(), config.mongodb.database
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(
            open_redis(
                [url.reveal() for url in config.redis.urls],
                prefix=f"{config.redis.prefix}:",
                process=who.process,
                node=who.node,
                listener=listener,
            )
        )
        store = await stack.enter_async_context(
            open_store(
                url,
                database,
                app_name="hubbub-worker",
                sweep_as=who.process,
                default_retention_s=int(config.limits.retention),
            )
        )
        store.appender.on_committed = BusPublisher(store.epoch, redis.bus).committed
        await stack.enter_async_context(open_sweeping(config, store.uploads, clock_ms))
        pushing = await _open_pushing(stack, config, store, redis, registry, who)
        if pushing is not None:
            dispatcher = pushing.dispatcher
            listener.attach({WAKE: lambda _: dispatcher.wake(), RESET: on_reset(dispatcher.reset)})
        await stack.enter_async_context(
            open_follower(
                url,
                database,
                owner=who.process,
                on_entries=None if pushing is None else pushing.planner.on_entries,
                on_started_over=None if pushing is None else pushing.catch_up,
                registry=registry,
            )
        )
        await stack.enter_async_context(
            open_metrics(
                registry,
                who,
                role="worker",
                set_snapshot=redis.processes.set_snapshot,
                lanes=None if pushing is None else lambda: shown(pushing.dispatcher.status()),
            )
        )
        log.info("following", process=who.process)
        yield


async def _open_pushing(
    stack: AsyncExitStack, config: Config, store: Store, redis: OpenRedis, registry: CollectorRegistry, who: Who
) -> Pushing | None:
    """None: it is switched off."""
    if not config.push.enabled:
        return None
    stale = TidyingSettings(stale_ms=milliseconds(config.push.stale_after))
    await stack.enter_async_context(open_tidying(store, clock_ms, settings=stale))
    block_lists = BlockLists(store, time.monotonic)
    states = states_together(ClientStates(redis.client_states), redis.device_connections)
    opening = open_pushing(
        config,
        store,
        badges=Unreads(store, block_lists, clock_ms).badges,
        states=await stack.enter_async_context(states),
        registry=registry,
        tell=redis.bus.control,
        process=who.process,
        clock_ms=clock_ms,
    )
    return await stack.enter_async_context(opening)
