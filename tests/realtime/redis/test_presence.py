import asyncio
from dataclasses import replace

import pytest
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from realtime.protocol.messages import ClientInfo
from realtime.redis.opening import OpenRedis
from storage.local.redis_server import RedisServer
from support.redis_bus import FAST, Heard, frozen, process
from support.waiting import eventually


def info(user: str, client: str) -> ClientInfo:
    return ClientInfo(user, client, Raw(b'{"name":"n"}'))


# --- channels ---


async def test_who_is_added_is_present_until_removed(opened: OpenRedis) -> None:
    ann, ann_too, bob = info("ann", "c1"), info("ann", "c2"), info("bob", "c3")
    for each in (ann, ann_too, bob, bob):
        await opened.presence.add("room", each.client, each)

    assert await opened.presence.of_channel("room", limit=3) == {"c1": ann, "c2": ann_too, "c3": bob}
    assert await opened.presence.stats("room") == (3, 2)

    await opened.presence.remove("room", "c1")
    await opened.presence.remove("room", "c3")
    await opened.presence.remove("room", "never there")
    assert await opened.presence.of_channel("room", limit=3) == {"c2": ann_too}
    assert await opened.presence.stats("room") == (1, 1)


async def test_nobody_is_present_in_an_unknown_channel(opened: OpenRedis) -> None:
    assert await opened.presence.of_channel("room", limit=1) == {}
    assert await opened.presence.stats("room") == (0, 0)


async def test_more_than_the_limit_is_not_read(opened: OpenRedis) -> None:
    for number in range(4):
        await opened.presence.add("room", f"c{number}", info("ann", f"c{number}"))

    with pytest.raises(OverflowError):
        await opened.presence.of_channel("room", limit=3)
    assert await opened.presence.stats("room") == (4, 1)


async def test_users_with_any_name_are_told_apart(opened: OpenRedis) -> None:
    users = ["", "1:a", "11:", "ä:ö", "a", ":"]
    for number, user in enumerate(users):
        await opened.presence.add("room", f"c{number}", info(user, f"c{number}"))

    assert await opened.presence.stats("room") == (6, 6)
    present = await opened.presence.of_channel("room", limit=10)
    assert [each.user for _, each in sorted(present.items())] == users


async def test_who_is_not_renewed_is_gone_after_a_while(server: RedisServer) -> None:
    settings = replace(FAST, channel_presence_ttl_s=1)
    async with process("p1", Heard(), server.url, settings=settings) as opened:
        await opened.presence.add("room", "c1", info("ann", "c1"))
        await opened.presence.add("room", "c2", info("bob", "c2"))
        await opened.presence.add("left alone", "c1", info("ann", "c1"))

        async def only_the_renewed_one() -> bool:
            await opened.presence.refresh([("room", "c2", info("bob", "c2"))])
            alone = await opened.presence.stats("left alone") == (0, 0)
            return alone and await opened.presence.stats("room") == (1, 1)

        await eventually(only_the_renewed_one)
        assert set(await opened.presence.of_channel("room", limit=5)) == {"c2"}
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            assert await client.keys("t:presence*left alone") == []


async def test_a_wiped_server_is_healed_by_the_next_renewal(server: RedisServer) -> None:
    entries = [(f"room{number % 7}", f"c{number}", info(f"u{number % 100}", f"c{number}")) for number in range(5_000)]
    async with (
        process("p1", Heard(), server.url) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await opened.presence.refresh(entries)
        await client.flushall()
        await client.script_flush()
        assert await opened.presence.stats("room0") == (0, 0)

        await opened.presence.refresh(entries)

        in_room0 = {client_id: each for room, client_id, each in entries if room == "room0"}
        assert await opened.presence.of_channel("room0", limit=1_000) == in_room0
        assert await opened.presence.stats("room0") == (len(in_room0), 100)


operations = st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 5), st.integers(0, 2)), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=operations)
async def test_counts_agree_with_who_is_there(opened: OpenRedis, script: list[tuple[str, int, int]]) -> None:
    channel = f"room {hash(tuple(script))}"
    model: dict[str, str] = {}
    for verb, client, user in script:
        if verb == "add":
            model[f"c{client}"] = f"u{user}"
            await opened.presence.add(channel, f"c{client}", info(f"u{user}", f"c{client}"))
        else:
            model.pop(f"c{client}", None)
            await opened.presence.remove(channel, f"c{client}")

    assert await opened.presence.stats(channel) == (len(model), len(set(model.values())))
    present = await opened.presence.of_channel(channel, limit=10)
    assert {client: each.user for client, each in present.items()} == model
    for client in model:
        await opened.presence.remove(channel, client)


async def test_where_the_server_hangs_every_question_ends_within_its_deadline(server: RedisServer) -> None:
    settings = replace(FAST, call_timeout_s=1.0)
    async with process("p1", Heard(), server.url, settings=settings) as opened:
        await opened.presence.add("room", "c1", info("ann", "c1"))
        with frozen(server.pid):
            questions = [
                *(opened.presence.stats("room") for _ in range(30)),
                *(opened.presence.online(["ann"]) for _ in range(3)),
                opened.processes.living(),
                opened.presence.refresh([("room", "c1", info("ann", "c1"))]),
            ]
            async with asyncio.timeout(15):  # one after the other they would take twice that
                outcomes = await asyncio.gather(*questions, return_exceptions=True)

        assert all(isinstance(outcome, ConnectionError | TimeoutError) for outcome in outcomes)
        await eventually(lambda: opened.presence.stats("room"))


async def test_where_the_server_is_away_every_question_fails_at_once(server: RedisServer) -> None:
    await server.stop(now=True)
    async with process("p1", Heard(), server.url) as opened:
        for question in (
            opened.presence.stats("room"),
            opened.presence.online(["ann"]),
            opened.processes.living(),
            opened.streams.remove("room"),
        ):
            with pytest.raises(ConnectionError):
                await question


# --- users ---


async def test_a_user_is_online_with_a_connection_on_any_process(server: RedisServer) -> None:
    async with process("p1", Heard(), server.url) as first, process("p2", Heard(), server.url) as second:
        first.presence.user_online("ann")
        second.presence.user_online("ann")
        second.presence.user_online("bob")

        assert await first.presence.online(["ann", "eve"]) == {"ann"}
        await eventually(lambda: online_is(first, {"ann", "bob"}))
        await eventually(lambda: online_is(second, {"ann", "bob"}))

        second.presence.user_offline("ann")
        second.presence.user_offline("bob")
        await eventually(lambda: online_is(first, {"ann"}))
        await eventually(lambda: online_is(second, {"ann"}))

        first.presence.user_offline("ann")
        await eventually(lambda: online_is(second, set()))
        await eventually(lambda: nothing_kept(server))


async def online_is(opened: OpenRedis, expected: set[str]) -> bool:
    return await opened.presence.online(["ann", "bob", "eve"]) == expected


async def nothing_kept(server: RedisServer) -> bool:
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        return await client.keys("t:online:*") == []


async def test_the_last_word_about_a_user_holds(server: RedisServer) -> None:
    async with process("p1", Heard(), server.url) as first, process("p2", Heard(), server.url) as second:
        for number in range(3_001):
            first.presence.user_online("ann") if number % 2 else first.presence.user_offline("ann")
            first.presence.user_offline("bob") if number % 2 else first.presence.user_online("bob")

        await eventually(lambda: online_is(second, {"bob"}))


async def test_users_of_a_process_that_closed_are_offline_at_once(server: RedisServer) -> None:
    async with process("p1", Heard(), server.url) as first:
        async with process("p2", Heard(), server.url) as second:
            second.presence.user_online("ann")
            await eventually(lambda: online_is(first, {"ann"}))

        # Whether a process lives is known for a second.
        await eventually(lambda: online_is(first, set()))


async def test_users_of_a_process_that_died_are_offline_when_its_lease_ends_and_swept_later(
    server: RedisServer,
) -> None:
    settings = replace(FAST, sweep_interval_s=0.02, sweep_buckets=1_024)
    async with (
        process("p2", Heard(), server.url, settings=settings) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        # What a process leaves that was killed.
        await client.set("t:process:p1", b"{}", px=300)
        await client.sadd("t:processes", "p1")
        opened.presence.user_online("bob")
        async with process("p3", Heard(), server.url) as third:
            third.presence.user_online("ann")
            await eventually(lambda: online_is(opened, {"ann", "bob"}))
            [bucket] = [key for key in await client.keys("t:online:*") if await client.hexists(key, "ann")]
            await client.hset(bucket, mapping={"eve": "p1", "ann": "p1,p3"})

        await eventually(lambda: swept(client))
        assert await opened.presence.online(["ann", "bob", "eve"]) == {"bob"}
        assert await client.smembers("t:processes") == {b"p2"}


async def swept(client: "redis.asyncio.Redis") -> bool:
    kept = [await client.hgetall(key) for key in await client.keys("t:online:*")]
    return kept == [{b"bob": b"p2"}]


async def test_only_the_first_living_process_sweeps(server: RedisServer) -> None:
    settings = replace(FAST, sweep_interval_s=0.02, sweep_buckets=8_192)
    async with (
        process("p1", Heard(), server.url, settings=replace(settings, sweep_interval_s=600)),
        process("p2", Heard(), server.url, settings=settings) as second,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await eventually(lambda: two_live(second))
        await client.hset("t:online:1", "eve", "p0")
        await client.sadd("t:processes", "p0")

        # p2 looks, sees that p0 is dead and p1 lives, and leaves the sweeping to that one.
        await eventually(lambda: named_are(client, {b"p1", b"p2"}))
        assert await client.hgetall("t:online:1") == {b"eve": b"p0"}


async def two_live(opened: OpenRedis) -> bool:
    return [each.process for each in await opened.processes.living()] == ["p1", "p2"]


async def named_are(client: "redis.asyncio.Redis", processes: set[bytes]) -> bool:
    return await client.smembers("t:processes") == processes


async def test_a_wiped_server_is_told_of_all_users_again(server: RedisServer) -> None:
    users = [f"u{number}" for number in range(3_000)]
    async with process("p1", Heard(), server.url) as first, process("p2", Heard(), server.url) as second:
        for user in users:
            first.presence.user_online(user)
        await eventually(lambda: all_online(second, users))

        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            await client.flushall()
        await eventually(lambda: all_online(second, users))


async def test_a_restarted_server_is_told_of_all_users_again(server: RedisServer) -> None:
    users = [f"u{number}" for number in range(3_000)]
    async with process("p1", Heard(), server.url) as first, process("p2", Heard(), server.url) as second:
        for user in users[:-1]:
            first.presence.user_online(user)
        await eventually(lambda: all_online(second, users[:-1]))

        await server.stop(now=True)
        first.presence.user_online(users[-1])
        await server.start()
        await eventually(lambda: all_online(second, users))


async def all_online(opened: OpenRedis, users: list[str]) -> bool:
    try:
        return await opened.presence.online(users) == set(users)
    except ConnectionError:
        return False


async def test_what_a_server_lost_without_a_trace_is_told_again_every_so_often(server: RedisServer) -> None:
    settings = replace(FAST, users_assert_s=0.2)
    async with process("p1", Heard(), server.url, settings=settings) as first:
        first.presence.user_online("ann")
        async with process("p2", Heard(), server.url) as second:
            await eventually(lambda: online_is(second, {"ann"}))
            async with redis.asyncio.from_url(server.url, protocol=2) as client:
                await client.delete(*await client.keys("t:online:*"))

            await eventually(lambda: online_is(second, {"ann"}))


async def test_changes_that_wait_for_an_absent_server_are_bounded(server: RedisServer) -> None:
    settings = replace(FAST, users_max_waiting=100)
    await server.stop(now=True)
    async with process("p1", Heard(), server.url, settings=settings) as opened:
        for number in range(1_000):
            opened.presence.user_online(f"u{number}")

        assert opened.presence.dropped == 900


async def test_two_servers_share_users_and_fail_apart(server: RedisServer, second_server: RedisServer) -> None:
    users = [f"u{number}" for number in range(100)]
    urls = (server.url, second_server.url)
    async with process("p1", Heard(), *urls) as first, process("p2", Heard(), *urls) as second:
        for user in users:
            first.presence.user_online(user)
        await eventually(lambda: all_online(second, users))
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            on_first = {user.decode() for key in await client.keys("t:online:*") for user in await client.hkeys(key)}
        assert 20 < len(on_first) < 80

        await second_server.stop(now=True)

        assert await second.presence.online(sorted(on_first)) == on_first
        with pytest.raises(ConnectionError):
            await second.presence.online(users)
        assert [each.process for each in await second.processes.living()] == ["p1", "p2"]


# --- processes ---


async def test_the_living_tell_their_node_and_snapshot(server: RedisServer) -> None:
    async with process("p1", Heard(), server.url) as first:
        async with process("p2", Heard(), server.url) as second:
            second.processes.set_snapshot(b'{"connections":3}')

            await eventually(lambda: snapshots_are(first, {"p1": b"{}", "p2": b'{"connections":3}'}))
            assert {each.node for each in await first.processes.living()} == {"n1"}

        assert [each.process for each in await first.processes.living()] == ["p1"]


async def snapshots_are(opened: OpenRedis, expected: dict[str, bytes]) -> bool:
    return {each.process: each.snapshot for each in await opened.processes.living()} == expected


async def test_a_process_that_hung_is_dead_and_comes_back_with_its_users(server: RedisServer) -> None:
    settings = replace(FAST, lease_ttl_s=0.3)
    async with (
        process("p1", Heard(), server.url, settings=settings) as first,
        process("p2", Heard(), server.url) as second,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        first.presence.user_online("ann")
        await eventually(lambda: online_is(second, {"ann"}))

        # As a hang would leave it: the lease has ended, and others have forgotten what it stood for.
        await client.delete("t:process:p1", *await client.keys("t:online:*"))
        await client.srem("t:processes", "p1")

        await eventually(lambda: online_is(second, {"ann"}))
        await eventually(lambda: two_live(second))


async def test_a_snapshot_is_json(opened: OpenRedis) -> None:
    with pytest.raises(ValueError):
        opened.processes.set_snapshot(b"{")


async def test_a_lease_that_cannot_be_read_hides_no_other(server: RedisServer) -> None:
    async with (
        process("p1", Heard(), server.url) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await client.set("t:process:p0", b"junk", px=10_000)
        await client.sadd("t:processes", "p0")

        await eventually(lambda: snapshots_are(opened, {"p1": b"{}"}))


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "x" * 65, "a\n"])
async def test_a_process_id_that_keys_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        async with process(name, Heard(), "redis://"):
            pass
