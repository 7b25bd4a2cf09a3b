"""Serves one hub process: listens, and on SIGTERM drains within the time it is given."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvloop
from aiohttp import web

from chat.app import Running, open_app
from chat.config import Config
from chat.http.malformed import RequestLog
from realtime.protocol.codes import CLOSE_SHUTDOWN
from storage.errors import Unavailable

log = structlog.get_logger(__name__)

STORE_RETRY_S = 2.0
BACKLOG = 1024
DRAIN_SHARE = 0.5
"""The part of the shutdown time over which connections are closed, so that they do not come back as one wave."""


def main(config: Config) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    return uvloop.run(serve(config))


def end_by_force_after(timeout_s: float) -> None:
    """End this process in so many seconds if it has not ended by itself: whatever hangs while it closes, even in the
    event loop's own end, does not keep it. What was acknowledged is stored long before.
    """

    def end() -> None:
        log.error("ended_by_force", after_s=timeout_s)
        os._exit(1)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()


async def serve(config: Config) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    while True:
        try:
            async with listening(config, demo=bool(os.environ.get("HUBBUB_DEMO"))) as running:
                log.info(
                    "serving", host=config.server.host, port=config.server.port, process=running.process.who.process
                )
                return await _until_stopped(running, stopping)
        except Unavailable as error:
            # Not a reason to end: whatever restarts us would only do the same.
            log.warning("waiting_for_mongodb", error=str(error), retry_s=STORE_RETRY_S)
        if await _happens_within(stopping, STORE_RETRY_S):
            return 0


async def _happens_within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False


@asynccontextmanager
async def listening(config: Config, *, demo: bool = False) -> AsyncIterator[Running]:
    """An open application behind its port; drained and closed when the block ends."""
    async with open_app(config, demo=demo) as running:
        runner = web.AppRunner(
            running.app,
            access_log=None,
            logger=RequestLog(),
            handle_signals=False,
            shutdown_timeout=1.0,
            # Slow senders of headers are cut off by this, slow senders of bodies by whoever reads them.
            keepalive_timeout=75.0,
            # Bodies are small and come as they are: nothing is unpacked, a bomb least of all.
            auto_decompress=False,
        )
        await runner.setup()
        site = web.TCPSite(
            runner,
            config.server.host,
            config.server.port,
            reuse_port=config.server.workers > 1 or None,
            backlog=BACKLOG,
        )
        try:
            await site.start()
            running.port = runner.addresses[0][1]
            yield running
        finally:
            await _drain(running, site, config.server.shutdown_timeout)
            await runner.cleanup()


async def _until_stopped(running: Running, stopping: asyncio.Event) -> int:
    """Wait for the signal, or for the engine to fail, which it does only by a fault of ours."""
    stopped = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({stopped, running.process.engine.running}, return_when=asyncio.FIRST_COMPLETED)
    if stopped in done:
        end_by_force_after(running.process.config.server.shutdown_timeout)
        return 0
    stopped.cancel()
    return 1


async def _drain(running: Running, site: web.TCPSite, timeout_s: float) -> None:
    """Stop taking connections, close those there are in batches, and let what is being written finish."""
    running.draining = True
    for end in running.on_drain:
        end()
    endpoint = running.process.engine.endpoint
    log.info("draining", connections=len(endpoint.open))
    await site.stop()
    await endpoint.close_all(CLOSE_SHUTDOWN, over_s=timeout_s * DRAIN_SHARE if len(endpoint.open) > 500 else 0)
