"""Which server of the list a channel lives on: rendezvous hashing, so that a server more or less moves only its share.

The choice depends on the servers' addresses alone, not on their order, credentials or options: every process that
lists the same servers agrees. Pure.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

_REMEMBERED = 1 << 16
"""Names whose server is kept in mind: choosing costs most of a microsecond per server, for every message."""


class Routing:
    """Names -> positions in the list of servers given."""

    def __init__(self, servers: Sequence[str]) -> None:
        """Raises ValueError for an empty list, and for one that names a server twice."""
        if not servers:
            raise ValueError("at least one Redis server is needed")
        if len(set(servers)) != len(servers):
            raise ValueError("a Redis server is listed twice")
        self._salts = tuple(blake2b(server.encode(), digest_size=16).digest() for server in servers)
        self._remembered = lru_cache(_REMEMBERED)(self._choose)

    def server_of(self, name: str) -> int:
        """The position of the server that `name` lives on."""
        return self._remembered(name) if len(self._salts) > 1 else 0

    def _choose(self, name: str) -> int:
        encoded = name.encode()
        weights = [blake2b(encoded, key=salt, digest_size=8).digest() for salt in self._salts]
        return weights.index(max(weights))
