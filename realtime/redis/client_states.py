"""What devices say of themselves for a short while: a hash for each user, on the server that the user is on."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from typing import Final

from realtime.redis.keys import Keys
from realtime.redis.routing import Routing
from realtime.redis.scripts import load_script
from realtime.redis.servers import Servers

MAX_DEVICES: Final = 32
"""Of one user. Of more, that is forgotten which would be over first."""

_PUT: Final = load_script("device_common", "client_state_put")


class RedisClientStates:
    """Every process sees what was put by any. A server that loses its data has forgotten it."""

    def __init__(self, servers: Servers, *, keys: Keys, routing: Routing) -> None:
        self._servers = servers
        self._keys = keys
        self._routing = routing

    async def put(self, user: str, device: str, said: bytes, *, ttl_s: float) -> None:
        """Remember it for `ttl_s`, in place of what the device said before.

        Raises ConnectionError or TimeoutError when Redis is away.
        """
        arguments = (device, said, max(1, round(ttl_s * 1000)), MAX_DEVICES)
        await self._servers.of(user).run(_PUT, [self._keys.client_states(user)], arguments)

    async def drop(self, user: str, device: str) -> None:
        """Forget it. Raises ConnectionError or TimeoutError when Redis is away."""
        await self._servers.of(user).call("HDEL", self._keys.client_states(user), device)

    async def of_users(self, users: Collection[str]) -> dict[str, dict[str, bytes]]:
        """What is not over, by user and device; one pipelined call to each server. At most some hundred users at once.

        Raises ConnectionError or TimeoutError when one of the servers is away.
        """
        by_server: defaultdict[int, list[str]] = defaultdict(list)
        for user in dict.fromkeys(users):
            by_server[self._routing.server_of(user)].append(user)
        found: dict[str, dict[str, bytes]] = {user: {} for user in users}

        async def read(server: int, some: list[str]) -> None:
            commands = [("HGETALL", self._keys.client_states(user)) for user in some]
            (seconds, micros), *hashes = await self._servers.all[server].pipeline([("TIME",), *commands])
            now = int(seconds) * 1000 + int(micros) // 1000
            for user, flat in zip(some, hashes, strict=True):
                for device, value in zip(flat[::2], flat[1::2], strict=True):
                    until, _, said = value.partition(b" ")
                    if int(until) > now:
                        found[user][device.decode()] = said

        await asyncio.gather(*(read(*each) for each in by_server.items()))
        return found
