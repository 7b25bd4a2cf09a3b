"""The worker's process: keeps what is derived from the log right, also after a hub was killed, and tidies up: deletes
what has expired, and removes what is older than it may be kept.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvloop

import chat
from chat.backend.announcer import BusPublisher
from chat.config import Config
from chat.files.opening import open_sweeping
from chat.metrics.registry import process_registry
from chat.observing import open_metrics
from chat.process import Who, clock_ms
from chat.serving.ending import stopping_within
from chat.serving.reloading import Source, reloading
from chat.serving.signals import happens_within
from realtime.engine import Listener
from realtime.redis.opening import open_redis
from storage.errors import Unavailable
from storage.store import open_follower, open_store

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
                    await stopping.asked.wait()
                    log.info("stopping")
            except Unavailable as error:
                log.warning("waiting_for_mongodb", error=str(error), retry_s=STORE_RETRY_S)
                await happens_within(stopping.asked, STORE_RETRY_S)
    return 0


@asynccontextmanager
async def open_worker(config: Config) -> AsyncIterator[None]:
    """A running follower that is seen in the metrics of its node and on the admin page."""
    who = Who.of(config)
    registry = process_registry(chat.__version__)
    redis = open_redis(
        [url.reveal() for url in config.redis.urls],
        prefix=f"{config.redis.prefix}:",
        process=who.process,
        node=who.node,
        listener=Listener(),
    )
    url, database = config.mongodb.url.reveal(), config.mongodb.database
    follower = open_follower(url, database, owner=who.process, registry=registry)
    store = open_store(
        url,
        database,
        app_name="hubbub-worker",
        sweep_as=who.process,
        default_retention_s=int(config.limits.retention),
    )
    async with (
        redis as opened,
        follower,
        store as stores,
        open_metrics(registry, who, role="worker", set_snapshot=opened.processes.set_snapshot),
    ):
        stores.appender.on_committed = BusPublisher(stores.epoch, opened.bus).committed
        async with open_sweeping(config, stores.uploads, clock_ms):
            log.info("following", process=who.process)
            yield
