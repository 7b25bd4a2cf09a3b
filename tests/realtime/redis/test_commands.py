import asyncio
from hashlib import sha1

import pytest
import redis.asyncio
import redis.exceptions
import uvloop

from realtime.redis.commands import Commands
from realtime.redis.scripts import Script
from realtime.redis.settings import RedisSettings
from storage.local.redis_server import RedisServer
from support.redis_bus import frozen
from support.waiting import eventually


async def test_a_cancelled_request_is_cancelled_whenever_that_happens(server: RedisServer) -> None:
    for turns in range(60):
        commands = Commands(server.url, settings=RedisSettings())
        request = asyncio.create_task(commands.pipeline([("SET", "a", "b"), ("GET", "a")]))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_done = request.done()
        request.cancel()
        await asyncio.wait((request,))

        assert was_done or request.cancelled()
        await commands.aclose()


async def test_answers_never_get_to_another_request(server: RedisServer) -> None:
    commands = Commands(server.url, settings=RedisSettings(call_connections=2))
    for turns in range(60):
        abandoned = asyncio.create_task(commands.call("ECHO", "abandoned"))
        for _ in range(turns):
            await asyncio.sleep(0)
        abandoned.cancel()
        await asyncio.wait((abandoned,))

        assert await commands.call("ECHO", f"{turns}") == b"%d" % turns
    await commands.aclose()


async def test_a_request_to_a_frozen_server_ends_within_its_deadline(server: RedisServer) -> None:
    commands = Commands(server.url, settings=RedisSettings(call_timeout_s=0.2))
    await commands.call("PING")
    with frozen(server.pid):
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await commands.call("PING")
        assert asyncio.get_running_loop().time() - started < 10

    assert await eventually(lambda: commands.call("PING")) == b"PONG"
    await commands.aclose()


async def test_more_requests_than_connections_wait_for_each_other(server: RedisServer) -> None:
    commands = Commands(server.url, settings=RedisSettings(call_connections=2, call_timeout_s=30.0))

    answers = await asyncio.gather(*(commands.call("ECHO", f"{number}") for number in range(500)))

    assert answers == [b"%d" % number for number in range(500)]
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        assert len(await client.client_list()) == 3
    await commands.aclose()


async def test_a_server_that_is_away_is_a_connection_error(server: RedisServer) -> None:
    commands = Commands(server.url, settings=RedisSettings())
    await commands.call("PING")
    await server.stop(now=True)

    for _ in range(2):
        with pytest.raises(ConnectionError):
            await commands.call("PING")

    await server.start()
    assert await commands.call("PING") == b"PONG"
    await commands.aclose()


async def test_a_server_that_cannot_work_is_as_good_as_away(server: RedisServer) -> None:
    commands = Commands(server.url, settings=RedisSettings())
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        await client.config_set("maxmemory", "1")
        with pytest.raises(ConnectionError):
            await commands.call("SET", "a", "b")
        await client.config_set("maxmemory", "0")

        await client.replicaof("127.0.0.1", "1")
        with pytest.raises(ConnectionError):
            await commands.call("SET", "a", "b")
    await commands.aclose()


@pytest.mark.parametrize("setting", [("REPLICAOF", "127.0.0.1", "1"), ("CONFIG", "SET", "maxmemory", "1")])
async def test_a_server_that_takes_no_writes_is_as_good_as_away_for_scripts_too(server: RedisServer, setting) -> None:
    source = b"return redis.call('SET', KEYS[1], ARGV[1])"
    script = Script("set", source, sha1(source).hexdigest().encode())
    commands = Commands(server.url, settings=RedisSettings())
    await commands.run(script, [b"a"], ["before"])
    await commands.call(*setting)

    with pytest.raises(ConnectionError):
        await commands.run(script, [b"a"], ["b"])
    with pytest.raises(ConnectionError):
        await commands.run_all(script, [([b"a"], ["b"]), ([b"c"], ["d"])])
    with pytest.raises(ConnectionError):
        await commands.pipeline([("GET", "a"), ("SET", "a", "b")])
    await commands.aclose()


async def test_a_mistake_of_ours_is_not_taken_for_an_outage(server: RedisServer) -> None:
    commands = Commands(server.url, settings=RedisSettings())
    await commands.call("SET", "a", "b")

    with pytest.raises(redis.exceptions.ResponseError):
        await commands.call("HGET", "a", "b")
    with pytest.raises(redis.exceptions.ResponseError):
        await commands.pipeline([("GET", "a"), ("HGET", "a", "b")])
    await commands.aclose()


async def test_the_url_says_as_whom(server: RedisServer) -> None:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        await client.acl_setuser("ann", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
    commands = Commands(f"{server.url}?username=ann&password=secret&db=3", settings=RedisSettings())

    assert await commands.call("ACL", "WHOAMI") == b"ann"
    await commands.aclose()


def test_a_connection_that_is_lost_at_the_moment_is_a_connection_error(server: RedisServer) -> None:
    """uvloop raises RuntimeError then, on which a task that keeps a lease would end for good."""

    async def lose_it() -> None:
        commands = Commands(server.url, settings=RedisSettings())
        await commands.call("PING")
        (connection,) = commands._redis.connection_pool._available_connections
        send = connection.send_packed_command

        async def lost_before(*arguments: object, **more: object) -> None:
            connection._writer.transport.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await send(*arguments, **more)

        connection.send_packed_command = lost_before
        with pytest.raises(ConnectionError):
            await commands.call("PING")
        connection.send_packed_command = send
        assert await commands.call("PING") == b"PONG"
        await commands.aclose()

    uvloop.run(lose_it())
