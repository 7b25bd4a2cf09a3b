"""Things that may happen once over all processes."""

from typing import Final

from realtime.redis.keys import Keys
from realtime.redis.servers import Servers

_NEVER: Final = (-1, -2)
"""What PTTL says of a key that does not expire, or is not there."""


class RedisClaims:
    """Remembers what was claimed until it expires. A server that loses its data forgets what was claimed there."""

    def __init__(self, servers: Servers, *, keys: Keys) -> None:
        self._servers = servers
        self._keys = keys

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        """Whether nobody claimed `key` in the last `ttl_s`. ConnectionError or TimeoutError when Redis is away."""
        answer = await self._servers.of(key).call(
            "SET", self._keys.claim(key), b"1", "NX", "PX", max(1, round(ttl_s * 1000))
        )
        return answer is not None

    async def hold(self, name: str, holder: str, *, ttl_s: float) -> int:
        """0: `holder` has `name` for the next `ttl_s`, or had it already. Else in how many milliseconds it is free.

        ConnectionError or TimeoutError when Redis is away.
        """
        key = self._keys.claim(name)
        taken, there, left_ms = await self._servers.of(name).pipeline(
            [
                ("SET", key, holder, "NX", "PX", max(1, round(ttl_s * 1000))),
                ("GET", key),
                ("PTTL", key),
            ]
        )
        if taken is not None or there == holder.encode():
            return 0
        # It may have ended between the commands: then it is free in a moment.
        return 1 if left_ms in _NEVER else max(1, int(left_ms))
