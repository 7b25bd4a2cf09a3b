"""Holding something over all processes: one at a time, the holder again and again, and free when it ends."""

import asyncio
from collections import Counter

import pytest

from realtime.redis.opening import OpenRedis
from support.redis_bus import Heard, process
from support.waiting import eventually


async def test_one_of_many_holds_it_and_the_others_are_told_how_long(opened: OpenRedis) -> None:
    waits = await asyncio.gather(*(opened.claims.hold("it", f"holder{n}", ttl_s=60) for n in range(20)))
    assert Counter(wait == 0 for wait in waits) == {True: 1, False: 19}
    assert all(50_000 < wait <= 60_000 for wait in waits if wait)


async def test_the_holder_has_it_however_often_it_asks_and_by_whichever_process(
    opened: OpenRedis, redis_url: str, redis_prefix: str
) -> None:
    async with process("p2", Heard(), redis_url, prefix=f"{redis_prefix}:") as other:
        assert await opened.claims.hold("it", "holder", ttl_s=60) == 0
        assert await opened.claims.hold("it", "holder", ttl_s=60) == 0
        assert await other.claims.hold("it", "holder", ttl_s=60) == 0
        assert await other.claims.hold("it", "another", ttl_s=60) > 0
        assert await other.claims.hold("that", "another", ttl_s=60) == 0


async def test_it_is_free_when_it_ends(opened: OpenRedis) -> None:
    assert await opened.claims.hold("it", "holder", ttl_s=0.2) == 0

    async def free() -> bool:
        return await opened.claims.hold("it", "another", ttl_s=60) == 0

    await eventually(free)


async def test_without_a_server_it_says_so(heard: Heard, unused_socket) -> None:
    async with process("p1", heard, f"unix://{unused_socket}", prefix="x:") as opened:
        with pytest.raises((ConnectionError, TimeoutError)):
            await opened.claims.hold("it", "holder", ttl_s=1)
