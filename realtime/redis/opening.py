"""Where the parts are put together and their tasks are owned: `open_redis` is what the engine's owner calls."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from realtime.ports import BusListener
from realtime.redis.address import parse_address
from realtime.redis.bus import RedisBus
from realtime.redis.claims import RedisClaims
from realtime.redis.client_states import RedisClientStates
from realtime.redis.commands import Commands
from realtime.redis.device_connections import RedisDeviceConnections
from realtime.redis.keys import Keys
from realtime.redis.presence import RedisPresence
from realtime.redis.processes import RedisProcesses
from realtime.redis.rates import RedisRates
from realtime.redis.routing import Routing
from realtime.redis.servers import Servers
from realtime.redis.settings import RedisSettings
from realtime.redis.streams import RedisStreams
from realtime.redis.users import OnlineUsers
from realtime.tasks import Tasks

_PROCESS: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class OpenRedis:
    """The ports, implemented. Usable until `open_redis` is left."""

    bus: RedisBus
    streams: RedisStreams
    presence: RedisPresence
    processes: RedisProcesses
    claims: RedisClaims
    rates: RedisRates
    client_states: RedisClientStates
    device_connections: RedisDeviceConnections


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
    (for `close_timeout_s` at most), ends every task, gives the lease up (again for so long) and closes all connections.
    Raises ValueError for URLs or names that cannot be used.
    """
    if not _PROCESS.fullmatch(process):
        raise ValueError("a process id is 1 to 64 letters, digits, dots, dashes and underscores")
    settings = settings or RedisSettings()
    addresses = [parse_address(url) for url in urls]
    routing = Routing([address.identity for address in addresses])
    keys = Keys(prefix)
    async with AsyncExitStack() as stack:
        commands = [Commands(url, settings=settings) for url in urls]
        for each in commands:
            stack.push_async_callback(each.aclose)
        servers = Servers(commands, routing)
        bus = RedisBus(addresses, keys=keys, routing=routing, process=process, listener=listener, settings=settings)
        processes = RedisProcesses(commands, keys=keys, process=process, node=node, settings=settings)
        users = [OnlineUsers(lease, keys=keys, process=process, settings=settings) for lease in processes.leases]
        stack.push_async_callback(_within, settings.close_timeout_s, processes.give_up)
        tasks = await stack.enter_async_context(Tasks())
        _spawn(tasks, bus, processes, users)
        stack.push_async_callback(_within, settings.close_timeout_s, bus.drained)
        yield OpenRedis(
            bus,
            RedisStreams(servers, keys=keys, settings=settings),
            RedisPresence(servers, users, routing=routing, keys=keys, settings=settings),
            processes,
            RedisClaims(servers, keys=keys),
            RedisRates(servers, keys=keys, routing=routing),
            RedisClientStates(servers, keys=keys, routing=routing),
            RedisDeviceConnections(servers, keys=keys, routing=routing),
        )


def _spawn(tasks: Tasks, bus: RedisBus, processes: RedisProcesses, users: Sequence[OnlineUsers]) -> None:
    """Every task there is, and each per server, so that one that is away delays no other."""
    for writer, link in zip(bus.writers, bus.links, strict=True):
        tasks.spawn(writer.run(), name="bus-writer")
        tasks.spawn(link.run(), name="bus-link")
    tasks.spawn(bus.leave_idle_channels(), name="bus-leave-idle-channels")
    for lease, each in zip(processes.leases, users, strict=True):
        tasks.spawn(lease.renew_until_cancelled(), name="process-lease")
        tasks.spawn(each.write_until_cancelled(), name="online-users-write")
        tasks.spawn(each.sweep_until_cancelled(), name="online-users-sweep")
        tasks.spawn(each.bury_until_cancelled(), name="online-users-bury")


async def _within(timeout_s: float, last_words: Callable[[], Awaitable[None]]) -> None:
    """What is nice to have done on the way out: for a moment, and not at any price."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            await last_words()
