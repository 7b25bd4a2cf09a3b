"""Buckets in Redis that all processes take from."""

import pytest
import redis.asyncio

from realtime.redis.opening import OpenRedis
from support.redis_bus import Heard, process
from support.waiting import eventually


async def test_what_each_process_takes_adds_up(opened: OpenRedis, redis_url: str, redis_prefix: str) -> None:
    async with process("p2", Heard(), redis_url, prefix=f"{redis_prefix}:") as other:
        (first,) = await opened.rates.spend([("alice", 10.0, 60.0, 0.0)])
        (second,) = await other.rates.spend([("alice", 10.0, 60.0, 0.0)])
        (asked,) = await opened.rates.spend([("alice", 0.0, 60.0, 0.0)])
    assert 9.9 < first <= 10
    assert 19 < second <= 20
    assert 18 < asked <= second


async def test_a_bucket_refills_and_is_gone_when_it_is_full(
    opened: OpenRedis, redis_url: str, redis_prefix: str
) -> None:
    await opened.rates.spend([("alice", 1.0, 60.0, 0.0)])
    async with redis.asyncio.Redis.from_url(redis_url) as raw:
        assert await raw.exists(f"{redis_prefix}:rate:alice")

        async def gone() -> bool:
            return not await raw.exists(f"{redis_prefix}:rate:alice")

        await eventually(gone)
    assert await opened.rates.spend([("alice", 0.0, 60.0, 0.0)]) == [0.0]


async def test_what_was_taken_a_while_ago_has_been_refilled_meanwhile(opened: OpenRedis) -> None:
    (level,) = await opened.rates.spend([("alice", 10.0, 60.0, 4.0)])
    assert 5.9 < level <= 6
    assert await opened.rates.spend([("bob", 1.0, 60.0, 4.0)]) == [0.0]


async def test_no_bucket_is_emptier_than_its_most(opened: OpenRedis) -> None:
    await opened.rates.spend([("alice", 1000.0, 30.0, 0.0)])
    (level,) = await opened.rates.spend([("alice", 1000.0, 30.0, 0.0)])
    assert 29 < level <= 30


async def test_many_users_are_one_call_and_come_back_in_order(opened: OpenRedis) -> None:
    charges = [(f"user{number}", float(number), 1e6, 0.0) for number in range(1, 1000)]
    levels = await opened.rates.spend(charges)
    assert all(number - 1 < level <= number for number, level in enumerate(levels, start=1))


async def test_a_server_that_is_away_leaves_the_others_to_count(
    redis_url: str, redis_prefix: str, unused_socket
) -> None:
    urls = [redis_url, f"unix://{unused_socket}"]
    async with process("p1", Heard(), *urls, prefix=f"{redis_prefix}:") as opened:
        levels = await opened.rates.spend([(f"user{number}", 10.0, 60.0, 0.0) for number in range(50)])
    assert 0 < levels.count(0.0) < 50


async def test_without_a_server_it_says_so(unused_socket) -> None:
    async with process("p1", Heard(), f"unix://{unused_socket}", prefix="x:") as opened:
        with pytest.raises((ConnectionError, TimeoutError)):
            await opened.rates.spend([("alice", 1.0, 60.0, 0.0)])
