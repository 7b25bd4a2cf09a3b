"""Serves one hub process: listens, opens what is behind the port, and on SIGTERM drains within the time it is given."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvloop

from chat.app import Running, open_app
from chat.config import Config
from chat.push.lab.whereabouts import whereabouts
from chat.serving import draining
from chat.serving.door import Door, open_door
from chat.serving.ending import end_by_force_after, stopping_within
from chat.serving.garbage import seldom_collected
from chat.serving.reloading import TLS, TOKENS, Part, Reloader, Source, reloading
from chat.serving.signals import Stopping, happens_within
from chat.serving.starting import starting_app
from storage.errors import Unavailable

log = structlog.get_logger(__name__)

STORE_RETRY_S = 2.0


def main(config: Config, source: Source | None = None) -> int:
    """Run until SIGTERM or SIGINT. `source` is what SIGHUP reads again. Returns the exit code."""
    return uvloop.run(serve(config, source))


async def serve(config: Config, source: Source | None = None) -> int:
    stopping = stopping_within(config.server.shutdown_timeout)
    async with (
        reloading(config, source) as reloader,
        stopping.listening(reloader.ask),
        open_door(config.server) as door,
        AsyncExitStack() as opened,
    ):
        reloader.add(Part(TLS, door.show))
        running = await _open(config, door, stopping, opened)
        if running is None:
            return 0
        with seldom_collected():
            return await _serve(running, door, stopping, reloader)


async def _open(config: Config, door: Door, stopping: Stopping, opened: AsyncExitStack) -> Running | None:
    """Open the application behind the port, however long MongoDB takes to be there; until then the port says so.

    None: a stop was asked for meanwhile. Raises NotMigrated, and ValueError for URLs that cannot be used.
    """
    reasons = ["starting"]
    async with door.serving(starting_app(lambda: reasons)):
        log.info("starting", host=config.server.host, port=door.port)
        while not stopping.asked.is_set():
            try:
                demo = bool(os.environ.get("HUBBUB_DEMO"))
                return await opened.enter_async_context(open_app(config, demo=demo, phones=whereabouts()))
            except Unavailable as error:
                # Not a reason to end: whatever restarts us would only do the same.
                log.warning("waiting_for_mongodb", error=str(error), retry_s=STORE_RETRY_S)
                reasons[:] = ["starting", "mongodb_unreachable"]
            await happens_within(stopping.asked, STORE_RETRY_S)
    return None


async def _serve(running: Running, door: Door, stopping: Stopping, reloader: Reloader) -> int:
    server, loop = running.process.config.server, asyncio.get_running_loop()
    async with door.serving(running.app):
        running.port = door.port
        reloader.add(Part(TOKENS, running.process.verifiers.reload))
        log.info("serving", host=server.host, port=door.port, process=running.process.who.process)
        failed = await _failed(running, stopping)
        deadline = loop.time() + server.shutdown_timeout
        if failed:
            end_by_force_after(server.shutdown_timeout)
        else:
            await draining.announce(running.leaving, server, stopping.by_hand)
        await _drain(running, door, left_s=deadline - loop.time(), hurry=stopping.urged)
    return 1 if failed else 0


async def _drain(running: Running, door: Door, *, left_s: float, hurry: asyncio.Event) -> None:
    await draining.close(running.leaving, door, running.process.engine.endpoint.open, left_s=left_s, hurry=hurry)


async def _failed(running: Running, stopping: Stopping) -> bool:
    """Wait for a signal, or for the engine to fail, which it does only by a fault of ours: then True."""
    stopped = asyncio.create_task(stopping.asked.wait())
    try:
        await asyncio.wait({stopped, running.process.engine.running}, return_when=asyncio.FIRST_COMPLETED)
        return not stopped.done()
    finally:
        stopped.cancel()


@asynccontextmanager
async def listening(config: Config, *, demo: bool = False) -> AsyncIterator[Running]:
    """An open application behind its port, without signals; drained and closed when the block ends. For tests."""
    async with open_door(config.server) as door, open_app(config, demo=demo) as running, door.serving(running.app):
        running.port = door.port
        try:
            yield running
        finally:
            await _drain(running, door, left_s=config.server.shutdown_timeout, hurry=asyncio.Event())
