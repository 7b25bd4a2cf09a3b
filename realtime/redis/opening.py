"""Where the parts are put together and their tasks are owned: `open_redis` is what the engine's owner calls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from realtime.ports import BusListener
from realtime.redis.address import parse_address
from realtime.redis.bus import RedisBus
from realtime.redis.commands import Commands
from realtime.redis.keys import Keys
from realtime.redis.routing import Routing
from realtime.redis.servers import Servers
from realtime.redis.settings import RedisSettings
from realtime.redis.streams import RedisStreams
from realtime.tasks import Tasks


@dataclass(frozen=True, slots=True)
class OpenRedis:
    """The ports, implemented. Usable until `open_redis` is left."""

    bus: RedisBus
    streams: RedisStreams


@asynccontextmanager
async def open_redis(
    urls: Sequence[str],
    *,
    prefix: str,
    process: str,
    node: str,
    listener: BusListener,
    settings: RedisSettings | None = None,
) -> AsyncIterator[OpenRedis]:
    """Open the list of servers; waits for none of them, they may come later.

    `process` names this run of this process: unique, never used again. Leaving sends what is still to be published
    (for `close_timeout_s` at most), then ends every task and connection.
    Raises ValueError for URLs or names that cannot be used.
    """
    settings = settings or RedisSettings()
    addresses = [parse_address(url) for url in urls]
    routing = Routing([address.identity for address in addresses])
    keys = Keys(prefix)
    async with AsyncExitStack() as stack:
        commands = [Commands(url, client_name=f"{process}:commands", settings=settings) for url in urls]
        for each in commands:
            stack.push_async_callback(each.aclose)
        servers = Servers(commands, routing)
        bus = RedisBus(addresses, keys=keys, routing=routing, process=process, listener=listener, settings=settings)
        streams = RedisStreams(servers, keys=keys, settings=settings)
        tasks = await stack.enter_async_context(Tasks())
        for writer, link in zip(bus.writers, bus.links, strict=True):
            tasks.spawn(writer.run(), name="bus-writer")
            tasks.spawn(link.run(), name="bus-link")
        tasks.spawn(bus.leave_idle_channels(), name="bus-leave-idle-channels")
        stack.push_async_callback(_say_the_rest, bus, settings.close_timeout_s)
        yield OpenRedis(bus, streams)


async def _say_the_rest(bus: RedisBus, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await bus.drained()
