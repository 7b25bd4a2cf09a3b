"""Who has come and who has gone, over all processes: said once, and not for who was only away for a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import redis.asyncio

from realtime.redis.opening import OpenRedis
from realtime.redis.settings import RedisSettings
from storage.local.redis_server import RedisServer
from support.processes import Script
from support.redis_bus import FAST, Heard, process
from support.waiting import eventually

QUICK = replace(FAST, offline_grace_s=0.3, lease_ttl_s=1.0)
NEVER = replace(FAST, offline_grace_s=600.0)


@asynccontextmanager
async def listening(
    name: str, server: RedisServer, settings: RedisSettings = QUICK
) -> AsyncIterator[tuple[OpenRedis, list[str]]]:
    """A process, and the users that it was told have come."""
    came: list[str] = []
    async with process(name, Heard(), server.url, settings=settings) as opened:
        opened.presence.on_came(came.extend)
        yield opened, came


async def left_of(opened: OpenRedis) -> list[str]:
    return [left.user for left in await opened.presence.left(100)]


async def known(opened: OpenRedis, *users: str) -> bool:
    return await opened.presence.online(users) == set(users)


async def waiting(server: RedisServer, users: set[str]) -> bool:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        return {user.decode() for user in await client.zrange("t:leaving", 0, -1)} == users


async def test_the_first_connection_anywhere_is_news_and_no_other(server: RedisServer) -> None:
    async with listening("p1", server) as (one, came), listening("p2", server) as (two, came_too):
        one.presence.user_online("ann")
        await eventually(lambda: came == ["ann"])
        two.presence.user_online("ann")
        two.presence.user_online("bob")
        await eventually(lambda: came_too == ["bob"])
        assert came == ["ann"]


async def test_the_last_one_that_has_gone_is_news_after_the_grace(server: RedisServer) -> None:
    async with listening("p1", server) as (one, came), listening("p2", server) as (two, _):
        one.presence.user_online("ann")
        await eventually(lambda: came == ["ann"])
        two.presence.user_online("ann")
        one.presence.user_offline("ann")
        two.presence.user_offline("ann")
        (left,) = await eventually(lambda: two.presence.left(100))
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            seconds, microseconds = await client.time()
        assert seconds * 1000 + microseconds / 1000 - left.at >= 300
        await two.presence.told(["ann"])
        assert await waiting(server, set())
        one.presence.user_online("ann")
        await eventually(lambda: came == ["ann", "ann"])


async def test_who_comes_back_within_the_grace_was_never_gone(server: RedisServer) -> None:
    async with listening("p1", server, NEVER) as (one, came), listening("p2", server, NEVER) as (two, came_too):
        one.presence.user_online("ann")
        await eventually(lambda: came == ["ann"])
        one.presence.user_offline("ann")
        await eventually(lambda: waiting(server, {"ann"}))
        two.presence.user_online("ann")
        await eventually(lambda: waiting(server, set()))
        two.presence.user_online("end")
        await eventually(lambda: came_too == ["end"])
        assert came == ["ann"]


async def test_one_process_tells_of_it_and_another_if_that_one_does_not(server: RedisServer) -> None:
    settings = replace(QUICK, offline_grace_s=0.0, left_retry_s=0.4)
    async with listening("p1", server, settings) as (one, _), listening("p2", server, settings) as (two, _):
        one.presence.user_offline("ann")
        await eventually(lambda: left_of(one))
        assert await left_of(two) == []
        await eventually(lambda: left_of(two))
        await two.presence.told(["ann"])
        assert await waiting(server, set())


async def test_who_comes_back_while_others_are_told_is_news(server: RedisServer) -> None:
    settings = replace(QUICK, offline_grace_s=0.0, left_retry_s=600.0)
    async with listening("p1", server, settings) as (one, came):
        one.presence.user_offline("ann")
        await eventually(lambda: left_of(one))
        one.presence.user_online("ann")
        await eventually(lambda: came == ["ann"])
        await one.presence.told(["ann"])
        assert await known(one, "ann")


async def test_users_of_a_killed_process_are_gone_since_its_last_sign_of_life(server: RedisServer) -> None:
    script = f"""
import asyncio, json, sys
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from dataclasses import replace
sys.path[:0] = [".", "tests"]
from support.redis_bus import FAST, Heard, process

async def main():
    settings = replace(FAST, offline_grace_s=0.3, lease_ttl_s=1.0)
    async with process("p0", Heard(), {server.url!r}, settings=settings) as opened:
        came = []
        opened.presence.on_came(came.extend)
        opened.presence.user_online("ann")
        opened.presence.user_online("bob")
        while len(came) < 2:
            await asyncio.sleep(0.01)
        print(json.dumps("ready"), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
    async with listening("p1", server) as (one, came):
        with Script.running(script) as other:
            assert await asyncio.to_thread(other.line) == "ready"
            one.presence.user_online("bob")
            await eventually(lambda: known(one, "ann", "bob"))
            async with redis.asyncio.from_url(server.url, protocol=2) as client:
                seconds, microseconds = await client.time()
            other.kill()
        await eventually(lambda: left_of(one))
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            ((user, at),) = await client.zrange("t:leaving", 0, -1, withscores=True)
            await eventually(lambda: only_holder(client))
        assert user == b"ann"
        assert abs(at - (seconds * 1000 + microseconds / 1000)) < 1000
        assert came == []


async def only_holder(client: "redis.asyncio.Redis") -> bool:
    return await client.zrange("t:holders", 0, -1) == [b"p1"]


async def test_a_server_without_memory_makes_nobody_come_again(server: RedisServer) -> None:
    async with listening("p1", server) as (one, came), listening("p2", server) as (two, came_too):
        one.presence.user_online("ann")
        await eventually(lambda: came == ["ann"])
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            await client.flushall()
        await eventually(lambda: known(two, "ann"))
        two.presence.user_online("bob")
        await eventually(lambda: came_too == ["bob"])
        assert came == ["ann"]


async def test_who_leaves_while_the_server_is_away_is_told_of_afterwards(server: RedisServer) -> None:
    settings = replace(QUICK, offline_grace_s=0.0)
    async with listening("p1", server, settings) as (one, came):
        one.presence.user_online("ann")
        await eventually(lambda: came == ["ann"])
        await server.stop(now=True)
        one.presence.user_offline("ann")
        one.presence.user_online("bob")
        assert await left_of(one) == []
        await server.start()
        await eventually(lambda: came == ["ann", "bob"])
        await eventually(lambda: left_of(one))


async def test_a_process_that_hung_brings_its_users_back(server: RedisServer) -> None:
    settings = replace(QUICK, young_server_s=0.0, offline_grace_s=0.0)
    async with listening("p1", server, settings) as (one, came), listening("p2", server, settings) as (two, _):
        two.presence.user_online("ann")
        await eventually(lambda: known(one, "ann"))
        two.presence.on_came(came.extend)
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            # As if its lease had ended while it hung.
            await client.delete("t:process:p2")
            await client.zrem("t:holders", "p2")
            for key in await client.keys("t:online:*"):
                await client.delete(key)
        await eventually(lambda: came == ["ann"])
        assert await known(one, "ann")


async def test_listeners_that_fail_lose_nothing(server: RedisServer) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("listener")

    async with listening("p1", server) as (one, _), listening("p2", server) as (two, _):
        one.presence.on_came(fail)
        one.presence.user_online("ann")
        await eventually(lambda: known(two, "ann"))
