"""Presence: who is in a channel, and which users are connected at all.

A channel's presence is on the channel's server, kept alive by being renewed; a user's is on the user's server, kept
alive by the leases of processes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from realtime.protocol.messages import ClientInfo
from realtime.redis import envelope
from realtime.redis.commands import Argument
from realtime.redis.keys import Keys
from realtime.redis.routing import Routing
from realtime.redis.scripts import Script, load_script
from realtime.redis.servers import Servers
from realtime.redis.settings import RedisSettings
from realtime.redis.users import Left, OnlineUsers

log = structlog.get_logger(__name__)


def _script(name: str) -> Script:
    return load_script("presence_common", name)


_ADD: Final = _script("presence_add")
_REMOVE: Final = _script("presence_remove")
_READ: Final = _script("presence_read")
_STATS: Final = _script("presence_stats")

_CLIENTS_PER_CALL: Final = 32
_CALLS_PER_CHUNK: Final = 128

_Call = tuple[tuple[bytes, ...], tuple[Argument, ...]]


class RedisPresence:
    """Implements the port `Presence`. What is awaited raises ConnectionError, TimeoutError where a server is away."""

    def __init__(
        self,
        servers: Servers,
        users: Sequence[OnlineUsers],
        *,
        routing: Routing,
        keys: Keys,
        settings: RedisSettings,
    ) -> None:
        self._servers = servers
        self._users = users
        self._routing = routing
        self._keys = keys
        self._ttl_ms = settings.channel_presence_ttl_s * 1000

    # --- channels ---

    async def add(self, channel: str, client: str, info: ClientInfo) -> None:
        keys, arguments = self._add_call(channel, [(client, info)])
        await self._servers.of(channel).run(_ADD, keys, arguments)

    async def remove(self, channel: str, client: str) -> None:
        await self._servers.of(channel).run(_REMOVE, self._keys.presence(channel), (client,))

    async def refresh(self, entries: Iterable[tuple[str, str, ClientInfo]]) -> None:
        """The deadline is for each chunk. Where one server is away the others are done, then the error is raised."""
        by_channel: defaultdict[str, list[tuple[str, ClientInfo]]] = defaultdict(list)
        for channel, client, info in entries:
            by_channel[channel].append((client, info))
        calls: list[list[_Call]] = [[] for _ in self._servers.all]
        for channel, clients in by_channel.items():
            mine = calls[self._routing.server_of(channel)]
            for start in range(0, len(clients), _CLIENTS_PER_CALL):
                mine.append(self._add_call(channel, clients[start : start + _CLIENTS_PER_CALL]))
        outcomes = await asyncio.gather(
            *(self._refresh(index, mine) for index, mine in enumerate(calls)), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def of_channel(self, channel: str, *, limit: int) -> dict[str, ClientInfo]:
        answer: list[bytes] | int = await self._servers.of(channel).run(_READ, self._keys.presence(channel), (limit,))
        if isinstance(answer, int):
            raise OverflowError(f"{answer} clients are present, more than {limit}")
        present = {}
        for client, entry in zip(answer[::2], answer[1::2], strict=True):
            try:
                present[client.decode()] = _decode_entry(entry)
            except ValueError:
                log.warning("presence_entry_unreadable", channel=channel)
        return present

    async def stats(self, channel: str) -> tuple[int, int]:
        clients, users = await self._servers.of(channel).run(_STATS, self._keys.presence(channel), ())
        return int(clients), int(users)

    # --- users ---

    def user_online(self, user: str) -> None:
        self._users[self._routing.server_of(user)].add(user)

    def user_offline(self, user: str) -> None:
        self._users[self._routing.server_of(user)].remove(user)

    async def online(self, users: Sequence[str]) -> set[str]:
        by_server: defaultdict[int, list[str]] = defaultdict(list)
        for user in users:
            by_server[self._routing.server_of(user)].append(user)
        online: set[str] = set()
        for found in await asyncio.gather(*(self._users[index].online(mine) for index, mine in by_server.items())):
            online |= found
        return online

    def on_came(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call `listener` with users who have come, of those that this process tells of. It must not block."""
        for users in self._users:
            users.on_came = listener

    async def left(self, limit: int) -> list[Left]:
        """Take users who have gone, `limit` per server, to tell others of it. A server that is away has none.

        Nobody else gets them for a while; `told` says that it is done. They come from whichever process they were on.
        """
        found: list[Left] = []
        for answer in await asyncio.gather(*(users.left(limit) for users in self._users), return_exceptions=True):
            if isinstance(answer, list):
                found += answer
            elif not isinstance(answer, (ConnectionError, TimeoutError)):
                raise answer
        return found

    async def told(self, users: Sequence[str]) -> None:
        by_server: defaultdict[int, list[str]] = defaultdict(list)
        for user in users:
            by_server[self._routing.server_of(user)].append(user)
        await asyncio.gather(*(self._users[index].told(mine) for index, mine in by_server.items()))

    @property
    def dropped(self) -> int:
        """Changes of user presence that a server was never told: too many waited."""
        return sum(users.dropped for users in self._users)

    # --- inside ---

    async def _refresh(self, server: int, calls: list[_Call]) -> None:
        for start in range(0, len(calls), _CALLS_PER_CHUNK):
            await self._servers.all[server].run_all(_ADD, calls[start : start + _CALLS_PER_CHUNK])

    def _add_call(self, channel: str, clients: Iterable[tuple[str, ClientInfo]]) -> _Call:
        arguments: list[Argument] = [self._ttl_ms]
        for client, info in clients:
            arguments += (client, info.user, _encode_entry(info))
        return self._keys.presence(channel), tuple(arguments)


def _encode_entry(info: ClientInfo) -> bytes:
    """The user in front, with its length, so that a script can count users."""
    user = info.user.encode()
    return b"%d:%b%b" % (len(user), user, envelope.encode_info(info))


def _decode_entry(entry: bytes) -> ClientInfo:
    """Raises ValueError."""
    length, _, rest = entry.partition(b":")
    return envelope.decode_info(rest[int(length) :])
