"""The worker's process: keeps what is derived from the log right, also after a hub was killed, and tidies up: deletes
what has expired, and removes what is older than it may be kept.
"""

import asyncio
import signal
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
from realtime.engine import Listener
from realtime.redis.opening import open_redis
from storage.errors import Unavailable
from storage.store import open_follower, open_store

log = structlog.get_logger(__name__)

STORE_RETRY_S = 2.0


def main(config: Config) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    return uvloop.run(run(config))


async def run(config: Config) -> int:
    """Follow the log whenever this worker is the elected one, and stand by otherwise. Raises NotMigrated."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    while not stopping.is_set():
        try:
            async with open_worker(config):
                await stopping.wait()
        except Unavailable as error:
            log.warning("waiting_for_mongodb", error=str(error), retry_s=STORE_RETRY_S)
            await _pause(stopping)
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


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(STORE_RETRY_S):
            await stopping.wait()
    except TimeoutError:
        pass
