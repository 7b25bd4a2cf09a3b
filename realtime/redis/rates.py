"""Token buckets that all processes take from, after the fact: each tells what it let through and hears what is left."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from realtime.redis.commands import Argument
from realtime.redis.keys import Keys
from realtime.redis.routing import Routing
from realtime.redis.scripts import load_script
from realtime.redis.servers import Servers

_SPEND: Final = load_script("rates_spend")
_BUCKETS_PER_CALL: Final = 256
"""Between calls everybody else has a turn in Redis."""


class RedisRates:
    """A server that loses its data has full buckets. Users are spread over the servers by name."""

    def __init__(self, servers: Servers, *, keys: Keys, routing: Routing) -> None:
        self._servers = servers
        self._keys = keys
        self._routing = routing

    async def spend(self, charges: Sequence[tuple[str, float, float, float]]) -> list[float]:
        """Take from buckets by name: (name, how long it takes to refill what was taken, the most that it may take to
        fill it, how long ago the taking began), in seconds. Returns in how many seconds each will be full.

        One pipelined call per server, all at once. Of a server that is away nothing is known: 0. Where all are,
        raises ConnectionError or TimeoutError.
        """
        by_server: defaultdict[int, list[int]] = defaultdict(list)
        for index, (name, _, _, _) in enumerate(charges):
            by_server[self._routing.server_of(name)].append(index)
        levels_s = [0.0] * len(charges)

        async def spend_at(server: int, indexes: list[int]) -> None:
            chunks = [indexes[at : at + _BUCKETS_PER_CALL] for at in range(0, len(indexes), _BUCKETS_PER_CALL)]
            answers = await self._servers.all[server].run_all(_SPEND, [self._call(charges, each) for each in chunks])
            for chunk, answer in zip(chunks, answers, strict=True):
                for index, level_us in zip(chunk, answer, strict=True):
                    levels_s[index] = int(level_us) / 1_000_000

        outcomes = await asyncio.gather(*(spend_at(*each) for each in by_server.items()), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        for failure in failures:
            if len(failures) == len(outcomes) or not isinstance(failure, (ConnectionError, TimeoutError)):
                raise failure
        return levels_s

    def _call(
        self, charges: Sequence[tuple[str, float, float, float]], indexes: Sequence[int]
    ) -> tuple[list[bytes], list[Argument]]:
        keys, arguments = [], list[Argument]()
        for index in indexes:
            name, *seconds = charges[index]
            keys.append(self._keys.rate(name))
            arguments += (round(each * 1_000_000) for each in seconds)
        return keys, arguments
