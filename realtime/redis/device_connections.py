"""Which devices of a user are connected, and what they have confirmed: a hash for each user, on the server that the
user is on.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from realtime.confirming import MAX_CONFIRMED
from realtime.ports import DeviceConnection, DeviceNews
from realtime.redis.client_states import MAX_DEVICES
from realtime.redis.commands import Argument
from realtime.redis.keys import Keys
from realtime.redis.routing import Routing
from realtime.redis.scripts import load_script
from realtime.redis.servers import Servers

log = structlog.get_logger(__name__)

_PUT: Final = load_script("device_common", "device_connection_put")
_CALLS: Final = 128
"""In one pipeline: between pipelines everybody else has a turn in Redis."""


class _Stored(Struct):
    """`confirmed`: a name and an offset in turns. What Lua has for an empty list is an object."""

    session: str
    ended_at: int | None = None
    confirmed: list[str | int] | dict[str, int] = []


class RedisDeviceConnections:
    """Implements `DeviceConnections` of the ports. A server that loses its data has forgotten them until their next
    ping.
    """

    def __init__(self, servers: Servers, *, keys: Keys, routing: Routing) -> None:
        self._servers = servers
        self._keys = keys
        self._routing = routing

    async def put(self, news: Sequence[DeviceNews], *, ttl_s: float) -> list[DeviceNews]:
        """Remember them for `ttl_s`. Returns those whose server was away."""
        by_server: defaultdict[int, list[DeviceNews]] = defaultdict(list)
        for one in news:
            by_server[self._routing.server_of(one.user)].append(one)
        ttl_ms = max(1, round(ttl_s * 1000))

        async def write(server: int, some: list[DeviceNews]) -> list[DeviceNews]:
            for at in range(0, len(some), _CALLS):
                calls = [
                    ([self._keys.device_connections(one.user)], _said(one, ttl_ms)) for one in some[at : at + _CALLS]
                ]
                try:
                    await self._servers.all[server].run_all(_PUT, calls)
                except (ConnectionError, TimeoutError):
                    return some[at:]
            return []

        return [one for left in await asyncio.gather(*(write(*each) for each in by_server.items())) for one in left]

    async def of_users(self, users: Collection[str]) -> dict[str, dict[str, DeviceConnection]]:
        """What is known, by user and device; one pipelined call to each server. At most some hundred users at once.

        Raises ConnectionError or TimeoutError when one of the servers is away.
        """
        by_server: defaultdict[int, list[str]] = defaultdict(list)
        for user in dict.fromkeys(users):
            by_server[self._routing.server_of(user)].append(user)
        found: dict[str, dict[str, DeviceConnection]] = {user: {} for user in users}

        async def read(server: int, some: list[str]) -> None:
            commands = [("HGETALL", self._keys.device_connections(user)) for user in some]
            (seconds, micros), *hashes = await self._servers.all[server].pipeline([("TIME",), *commands])
            now = int(seconds) * 1000 + int(micros) // 1000
            for user, flat in zip(some, hashes, strict=True):
                for device, value in zip(flat[::2], flat[1::2], strict=True):
                    until, _, said = value.partition(b" ")
                    if int(until) > now and (known := _known(said)) is not None:
                        found[user][device.decode()] = known

        await asyncio.gather(*(read(*each) for each in by_server.items()))
        return found


def _said(news: DeviceNews, ttl_ms: int) -> list[Argument]:
    what = "ended" if news.ended_at is not None else "began" if news.began else "goes_on"
    said: list[Argument] = [news.device, news.session, what, news.ended_at or 0, ttl_ms, MAX_DEVICES, MAX_CONFIRMED]
    for name, offset in news.confirmed.items():
        said += (name, offset)
    return said


def _known(said: bytes) -> DeviceConnection | None:
    """None: it is of another version, and means nothing here."""
    try:
        stored = msgspec.json.decode(said, type=_Stored)
        flat = stored.confirmed if isinstance(stored.confirmed, list) else []
        confirmed = {str(name): int(offset) for name, offset in zip(flat[::2], flat[1::2], strict=True)}
    except ValueError as error:
        log.warning("device_connection_not_understood", error=str(error))
        return None
    return DeviceConnection(stored.ended_at, confirmed)
