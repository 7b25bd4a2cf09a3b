"""What happens between asking and joining, and between the end of a connection and its being noticed."""

import asyncio

import pytest
import redis.asyncio

from realtime.control import DisconnectSessions, SubscribeSessions, Target, UnsubscribeSessions
from realtime.protocol.machine import ConnectionSettings
from realtime.settings import Settings
from support.engine import Gate, ListFeed, Served, SmallProduct, serve_engine
from support.racing import append, gated, removed
from support.waiting import eventually
from support.wire_client import wire_client


@pytest.fixture
def product() -> SmallProduct:
    return SmallProduct(ListFeed(), server_side=["log:1"])


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
async def served(redis_url, redis_prefix, product, settings):
    async with serve_engine(redis_url, redis_prefix, product, settings=settings) as served:
        await eventually(lambda: served.redis.bus.alive)
        yield served


class TestJoiningAPlainChannel:
    """The stream is read, the answer is on its way, and meanwhile …"""

    @pytest.fixture
    def gate(self, served) -> Gate:
        gate = Gate()
        served.redis.streams.read = gated(served.redis.streams.read, gate)
        return gate

    async def test_what_is_published_after_the_read_is_not_lost(self, served, gate):
        async with wire_client(served.url) as alice, wire_client(served.url) as bob:
            await alice.connect("alice")
            await bob.connect("bob")
            gate.shut()
            await alice.send(subscribe={"channel": "kept:news"})
            await eventually(lambda: gate.waiting)
            await bob.call(publish={"channel": "kept:news", "data": 1})
            gate.open()
            await alice.until(lambda: alice.offsets("kept:news") == [1])

    async def test_another_who_fails_to_join_does_not_take_the_channel_away(self, served):
        gate = Gate()
        read = served.redis.streams.read
        served.redis.streams.read = gated(read, gate)
        async with wire_client(served.url) as alice, wire_client(served.url) as bob:
            await alice.connect("alice")
            await bob.connect("bob")
            gate.shut()
            await alice.send(subscribe={"channel": "kept:news"})
            await eventually(lambda: gate.waiting)
            served.redis.streams.read = read
            wish = {"channel": "kept:news", "recover": True, "offset": 9, "flag": 2}
            assert (await bob.call(subscribe=wish))["error"]["code"] == 112
            await bob.call(publish={"channel": "kept:news", "data": 1})
            gate.open()
            await alice.until(lambda: alice.offsets("kept:news") == [1])

    async def test_one_who_leaves_does_not_take_the_channel_away(self, served, gate):
        async with wire_client(served.url) as alice, wire_client(served.url) as bob:
            await alice.connect("alice")
            await bob.connect("bob")
            await bob.call(subscribe={"channel": "kept:news"})
            gate.shut()
            await alice.send(subscribe={"channel": "kept:news"})
            await eventually(lambda: gate.waiting)
            await bob.call(unsubscribe={"channel": "kept:news"})
            await bob.call(publish={"channel": "kept:news", "data": 1})
            gate.open()
            await alice.until(lambda: alice.offsets("kept:news") == [1])

    async def test_a_connection_that_ends_leaves_nothing_behind(self, served, gate):
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            gate.shut()
            given = SubscribeSessions(Target("alice"), "kept:news", positioned=True, presence=True)
            served.engine.operations.apply(_with_stream(given))
            await eventually(lambda: gate.waiting)
        await eventually(lambda: not served.engine.hub.sessions)
        gate.open()
        await eventually(lambda: not served.engine.hub.channels)
        await eventually(lambda: _nobody_present(served, "kept:news"))

    async def test_a_bus_that_confirms_late_is_looked_behind_once_more(self, served, gate):
        """The wait for the subscription is bounded; what came before it was in force is read afterwards."""
        settled = served.redis.bus.settled

        async def not_yet() -> bool:
            return False

        served.redis.bus.settled = not_yet
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            await alice.call(subscribe={"channel": "kept:news"})
            channel = served.engine.hub.channels["kept:news"]
            # Published while nothing was heard: the stream has it, the bus never brought it.
            served.engine.hub.channels.pop("kept:news")
            await alice.call(publish={"channel": "kept:news", "data": 1})
            served.engine.hub.channels["kept:news"] = channel
            served.redis.bus.settled = settled
            await alice.until(lambda: alice.offsets("kept:news") == [1])


def _with_stream(operation: SubscribeSessions) -> SubscribeSessions:
    from msgspec.structs import replace

    from support.engine import STREAM

    return replace(operation, stream=STREAM)


async def _nobody_present(served: Served, channel: str) -> bool:
    return await served.redis.presence.stats(channel) == (0, 0)


class TestOperationsOnThoseAboutToCome:
    async def test_who_is_removed_while_connecting_is_not_subscribed(self, served):
        async with wire_client(served.url) as alice:
            served.product.gate.shut()
            command = await alice.send(connect={"token": "alice"})
            await eventually(lambda: served.product.gate.waiting)
            served.engine.operations.apply(UnsubscribeSessions(Target("alice"), "log:1", 2000, "removed"))
            served.product.gate.open()
            await alice.until(lambda: removed(alice, "log:1"))
            assert "log:1" in alice.replies[command]["connect"]["subs"]
            append(served, "log:1", "1")
            assert await alice.rpc("echo", x=1) == {"x": 1}
            assert alice.offsets("log:1") == []

    async def test_who_is_added_while_connecting_is_subscribed(self, served):
        append(served, "log:2", "1")
        async with wire_client(served.url) as alice:
            served.product.gate.shut()
            await alice.send(connect={"token": "alice"})
            await eventually(lambda: served.product.gate.waiting)
            served.engine.operations.apply(_durable("alice", "log:2", since=0))
            served.product.gate.open()
            await alice.until(lambda: alice.offsets("log:2") == [1])

    async def test_who_is_disconnected_while_connecting_is_closed(self, served):
        async with wire_client(served.url) as alice:
            served.product.gate.shut()
            await alice.send(connect={"token": "alice"})
            await eventually(lambda: served.product.gate.waiting)
            served.engine.operations.apply(DisconnectSessions(Target("alice"), 3503, ""))
            served.product.gate.open()
            assert await alice.closed() == 3503

    async def test_what_was_done_before_is_not_done_again(self, served):
        async with wire_client(served.url) as alice:
            served.engine.operations.apply(UnsubscribeSessions(Target("alice"), "log:1", 2000, "removed"))
            await alice.connect("alice")
            append(served, "log:1", "1")
            await alice.until(lambda: alice.offsets("log:1") == [1])
            assert alice.pushes[0].get("unsubscribe") is None

    async def test_added_and_removed_at_once_one_is_out(self, served):
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            served.engine.operations.apply(_durable("alice", "log:2", since=0))
            served.engine.operations.apply(UnsubscribeSessions(Target("alice"), "log:2", 2000, "removed"))
            await alice.until(lambda: removed(alice, "log:2"))
            assert list(alice.pushes[0]) == ["channel", "subscribe"]
            assert "log:2" not in served.engine.hub.channels

    async def test_a_durable_subscription_begins_where_the_operation_says(self, served):
        """Also where this process has heard more of the channel already, because others are in it."""
        for number in range(1, 4):
            served.product.feed.append("log:2", str(number))
        async with wire_client(served.url) as bob, wire_client(served.url) as alice:
            await bob.connect("bob")
            await alice.connect("alice")
            await bob.call(subscribe={"channel": "log:2"})
            append(served, "log:2", "4")
            await bob.until(lambda: bob.offsets("log:2") == [4])
            served.engine.operations.apply(_durable("alice", "log:2", since=2))
            await alice.until(lambda: len(alice.offsets("log:2")) == 2)
            assert alice.pushes[0]["subscribe"]["offset"] == 2
            assert alice.offsets("log:2") == [3, 4]


def _durable(user: str, channel: str, *, since: int) -> SubscribeSessions:
    return SubscribeSessions(
        Target(user), channel, positioned=True, recoverable=True, since_epoch="e", since_offset=since, durable=True
    )


class TestConnecting:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(connection=ConnectionSettings(connect_timeout_s=0.5))

    async def test_a_product_that_does_not_answer_is_a_temporary_error_in_time(self, served, monkeypatch):
        monkeypatch.setattr("realtime.commands.CONNECT_TIMEOUT_S", 0.1)
        async with wire_client(served.url) as alice:
            served.product.gate.shut()
            error = (await alice.connect("alice"))["error"]
            assert (error["code"], error["temporary"]) == (100, True)

    async def test_refused_after_its_time_a_socket_is_closed_all_the_same(self, served):
        async with wire_client(served.url) as alice:
            served.product.gate.shut()
            await alice.send(connect={"token": "expired"})
            await eventually(lambda: served.product.gate.waiting)
            await asyncio.get_running_loop().create_task(_seconds_of(served, 1.5))
            served.product.gate.open()
            assert await alice.closed() == 4000


async def _seconds_of(served: Served, seconds: float) -> None:
    """Until the housekeeping has turned for so long: what it had scheduled before is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    await eventually(lambda: loop.time() > until)


class TestPositions:
    async def test_a_client_side_subscribe_begins_where_the_session_stands(self, served):
        """Not at the head: what is between comes after the reply, and no offset may be lower than one told before."""
        for number in range(1, 6):
            served.product.feed.append("log:1", str(number))
        served.product.feed.away = True
        async with wire_client(served.url) as alice:
            await alice.connect("alice", subs={"log:1": {"recover": True, "epoch": "e", "offset": 2}})
            result = await alice.call(subscribe={"channel": "log:1"})
            assert result["offset"] == 2
            served.product.feed.away = False
            await alice.until(lambda: alice.offsets("log:1") == [3, 4, 5])

    async def test_a_restarted_stream_reaches_those_who_had_no_position(self, served, redis_url, redis_prefix):
        grant = served.product.grant
        async with wire_client(served.url) as alice, wire_client(served.url) as bob:
            await alice.connect("alice")
            await bob.connect("bob")
            await alice.call(subscribe={"channel": "kept:news"})
            served.product.grant = lambda name: grant("open:" + name)
            await bob.call(subscribe={"channel": "kept:news"})
            await bob.call(publish={"channel": "kept:news", "data": "before"})
            await alice.until(lambda: alice.offsets("kept:news") == [1])
            await _wipe(redis_url, redis_prefix)
            await bob.call(publish={"channel": "kept:news", "data": "after"})
            await alice.until(lambda: removed(alice, "kept:news"))
            await bob.until(lambda: len(bob.publications("kept:news")) == 2)


async def _wipe(url: str, prefix: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        async for key in client.scan_iter(f"{prefix}*"):
            await client.delete(key)


class TestPresence:
    async def test_an_error_of_its_server_ends_nothing(self, served):
        async def refused(channel: str, client: str) -> None:
            raise redis.ResponseError("WRONGTYPE")

        served.redis.presence.remove = refused
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            await alice.call(subscribe={"channel": "kept:room"})
            await alice.call(unsubscribe={"channel": "kept:room"})
            await eventually(lambda: not len(served.engine.hub.departed))
            assert await alice.rpc("echo", x=1) == {"x": 1}
        assert not served.engine.running.done()

    async def test_leaving_and_coming_back_at_once_one_is_present(self, served):
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            await alice.call(subscribe={"channel": "kept:room"})
            gate = Gate()
            remove = served.redis.presence.remove
            removals = []

            async def slowly(channel: str, client: str) -> None:
                removals.append(channel)
                await gate.wait()
                await remove(channel, client)

            served.redis.presence.remove = slowly
            gate.shut()
            served.engine.hub.departed.put(("kept:other", "somebody"))
            await eventually(lambda: removals == ["kept:other"])
            await alice.call(unsubscribe={"channel": "kept:room"})
            await alice.call(subscribe={"channel": "kept:room"})
            gate.open()
            await eventually(lambda: not len(served.engine.hub.departed))
            assert await served.redis.presence.stats("kept:room") == (1, 1)
            assert removals == ["kept:other"]
