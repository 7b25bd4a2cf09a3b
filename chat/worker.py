"""The log's follower as a process: keeps what is derived from the log right, also after a hub was killed."""

import asyncio
import signal
import socket
import uuid

import structlog
import uvloop

from chat.config import Config
from storage.errors import Unavailable
from storage.store import open_follower

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
    owner = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    while not stopping.is_set():
        try:
            async with open_follower(config.mongodb.url.reveal(), config.mongodb.database, owner=owner):
                log.info("following", owner=owner)
                await stopping.wait()
        except Unavailable as error:
            log.warning("waiting_for_mongodb", error=str(error), retry_s=STORE_RETRY_S)
            await _pause(stopping)
    return 0


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(STORE_RETRY_S):
            await stopping.wait()
    except TimeoutError:
        pass
