"""Things that may happen once over all processes."""

from realtime.redis.keys import Keys
from realtime.redis.servers import Servers


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
