"""Redis or MongoDB away: what is promised then, and that it heals by itself."""

import time
from dataclasses import replace

import pytest

from storage.local.mongod import mongod
from storage.local.redis_server import redis_server
from support.app import serve_app, test_config
from support.fail_points import failing
from support.servers import frozen, short_directory
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import wire_client


@pytest.fixture
async def own_redis():
    with short_directory() as directory:
        async with redis_server(directory, ephemeral=True) as server:
            yield server


@pytest.fixture
async def own_mongod():
    with short_directory() as directory:
        async with mongod(directory, ephemeral=True) as server:
            yield server


async def test_with_redis_frozen_messages_are_acknowledged_and_cross_hubs_within_seconds(
    own_redis, mongodb_url, database_name, redis_prefix
):
    config = test_config(mongodb_url, database_name, own_redis.url, redis_prefix)
    async with (
        serve_app(config) as one,
        serve_app(config) as two,
        wire_client(one.websocket) as alice,
        wire_client(two.websocket) as bob,
    ):
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        await bob.until(lambda: bob.offsets(f"conv:{conversation}") == [1])
        with frozen(own_redis.pid):
            for number in range(5):
                assert "message" in await say(alice, conversation, str(number))
            await bob.until(lambda: len(created(bob, conversation)) == 5)
            async with wire_client(one.websocket) as late:
                assert (await late.connect(one.token("alice")))["client"]
        await eventually(lambda: one.running.process.redis.bus.alive)
        await say(alice, conversation, "after")
        await bob.until(lambda: "after" in created(bob, conversation))
        assert created(bob, conversation) == ["0", "1", "2", "3", "4", "after"]
        assert bob.offsets(f"conv:{conversation}") == list(range(1, 8))


@pytest.mark.parametrize("heals", [False, True], ids=["while-redis-is-away", "when-it-is-back"])
async def test_who_is_let_in_while_redis_is_away_hears_of_it_on_every_hub(
    own_redis, mongodb_url, database_name, redis_prefix, heals
):
    config = test_config(mongodb_url, database_name, own_redis.url, redis_prefix)
    async with (
        serve_app(config) as one,
        serve_app(config) as two,
        wire_client(one.websocket) as alice,
        wire_client(two.websocket) as bob,
    ):
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        bus = two.running.process.redis.bus
        with frozen(own_redis.pid):
            await eventually(lambda: not bus.alive)
            conversation = await group(alice, "bob")
            await say(alice, conversation, "welcome")
            if not heals:
                await bob.until(lambda: created(bob, conversation) == ["welcome"], within_s=10)
        await bob.until(lambda: created(bob, conversation) == ["welcome"], within_s=10)
        await eventually(lambda: bus.alive)
        await say(alice, conversation, "and more")
        await bob.until(lambda: created(bob, conversation) == ["welcome", "and more"])
        assert bob.offsets(f"conv:{conversation}") == [1, 2, 3]


async def test_with_mongodb_frozen_sends_get_a_temporary_error_and_the_retry_lands_once(
    own_mongod, database_name, redis_url, redis_prefix
):
    config = test_config(own_mongod.url, database_name, redis_url, redis_prefix)
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        send = {"conversation": conversation, "idempotency_key": "k", "text": "once"}
        with frozen(own_mongod.pid):
            answer = await alice.rpc("message.send", **send)
            assert answer["error"]["temporary"] is True
            assert alice.close_code is None
            async with wire_client(app.websocket) as late:
                refused = await late.connect(app.token("bob"))
                assert (refused["error"]["code"], refused["error"]["temporary"]) == (100, True)

        async def lands() -> bool:
            return "message" in await alice.rpc("message.send", **send)

        await eventually(lands)
        page = await alice.rpc("history.page", conversation=conversation)
        assert [message["text"] for message in page["items"]] == ["once"]


async def test_with_mongodb_frozen_everything_that_is_asked_at_once_is_answered_in_time(
    own_mongod, database_name, redis_url, redis_prefix
):
    """Nothing waits for what is asked in front of it, and the pongs behind it are not missed."""
    config = test_config(own_mongod.url, database_name, redis_url, redis_prefix)
    config = replace(config, client=replace(config.client, ping_interval=1.0, pong_timeout=0.5))
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        with frozen(own_mongod.pid):
            started = time.monotonic()
            ids = [
                await alice.send(rpc={"method": "history.page", "data": {"conversation": conversation, "after": after}})
                for after in range(40)
            ]
            await alice.until(lambda: alice.close_code is not None or alice.replies.keys() >= set(ids), within_s=20)
            assert alice.close_code is None
            assert {alice.replies[one]["error"]["temporary"] for one in ids} == {True}
            assert time.monotonic() - started < 5.0


async def test_a_send_is_answered_in_time_whatever_it_waits_for(
    mongodb_url, database_name, redis_url, redis_prefix, monkeypatch
):
    """A membership that is looked up slowly, and then an insert that hangs: each within its own deadline."""
    monkeypatch.setattr("chat.calls.ANSWER_TIMEOUT_S", 1.5)
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix)
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        app.running.process.calls.service.messages._access.forget(conversation)
        send = {"conversation": conversation, "idempotency_key": "k", "text": "once"}
        block = {"blockConnection": True, "blockTimeMS": 1000}
        async with failing(mongodb_url, "hubbub", ["find", "insert"], **block):
            started = time.monotonic()
            answer = await alice.rpc("message.send", **send)
            assert answer["error"]["temporary"] is True
            assert 1.0 < time.monotonic() - started < 1.9
        await eventually(lambda: app.running.process.store.appender.available)
        assert "message" in await alice.rpc("message.send", **send)
        page = await alice.rpc("history.page", conversation=conversation)
        assert [message["text"] for message in page["items"]] == ["once"]


async def test_a_hub_that_is_killed_loses_nothing_that_was_acknowledged(
    mongodb_url, database_name, redis_url, redis_prefix
):
    """The summary of a conversation lags; a hub that starts anew must not take it for the truth."""
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix)
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        for number in range(20):
            await say(alice, conversation, str(number))
        async with serve_app(config) as other, wire_client(other.websocket) as phone:
            subs = {f"conv:{conversation}": {"recover": True, "epoch": "", "offset": 0}}
            result = await phone.connect(other.token("alice"), subs=subs)
            assert result["subs"][f"conv:{conversation}"]["recovered"] is True
            await phone.until(lambda: len(created(phone, conversation)) == 20)
            assert created(phone, conversation) == [str(number) for number in range(20)]
