import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import redis.asyncio
from msgspec import Raw
from structlog.testing import capture_logs

from realtime.ports import Delivery
from realtime.protocol.messages import ClientInfo, Publication
from storage.local.redis_server import RedisServer
from support.redis_bus import FAST, Heard, frozen, process, pub, subscribed
from support.waiting import eventually


async def test_what_one_process_publishes_all_subscribed_ones_hear(server: RedisServer) -> None:
    heard, other = Heard(), Heard()
    async with process("p1", heard, server.url) as first, process("p2", other, server.url) as second:
        await subscribed(first, "news")
        await subscribed(second, "sport")
        join = Delivery("news", "join", Publication(info=ClientInfo("ann", "c1", Raw(b"{}"))))

        second.bus.publish(pub("news", b"1", 7, "e"))
        second.bus.publish(join)
        second.bus.publish(pub("sport", b"2"))

        await eventually(lambda: len(heard.deliveries) == 2 and other.deliveries)
        assert heard.deliveries == [pub("news", b"1", 7, "e"), join]
        assert other.deliveries == [pub("sport", b"2")]


async def test_one_publishers_deliveries_keep_their_order(server: RedisServer) -> None:
    heard = Heard()
    async with process("p1", heard, server.url) as first, process("p2", Heard(), server.url) as second:
        await subscribed(first, "news")

        for number in range(5_000):
            second.bus.publish(pub("news", b"%d" % number))

        await eventually(lambda: len(heard.deliveries) == 5_000)
        assert heard.data("news") == [b"%d" % number for number in range(5_000)]


async def test_an_echo_is_dropped_where_the_publisher_has_delivered_already(server: RedisServer) -> None:
    heard, other = Heard(), Heard()
    async with process("p1", heard, server.url) as first, process("p2", other, server.url) as second:
        await subscribed(first, "news")
        await subscribed(second, "news")

        first.bus.publish(pub("news", b"1"), echo=False)
        first.bus.publish(pub("news", b"2"))

        await eventually(lambda: heard.deliveries and len(other.deliveries) == 2)
        assert heard.data("news") == [b"2"]
        assert other.data("news") == [b"1", b"2"]


async def test_control_goes_to_one_process_or_to_all(server: RedisServer) -> None:
    heard, other = Heard(), Heard()
    async with process("p1", heard, server.url) as first, process("p2", other, server.url) as second:
        await eventually(lambda: first.bus.alive and second.bus.alive)

        first.bus.control(b"to one", process="p2")
        first.bus.control(b"to all")

        await eventually(lambda: other.controls == [b"to one", b"to all"])
        assert heard.controls == [b"to all"]


async def test_after_settling_nothing_published_is_missed(server: RedisServer) -> None:
    heard = Heard()
    async with process("p1", heard, server.url) as first, process("p2", Heard(), server.url) as second:
        await eventually(lambda: first.bus.alive and second.bus.alive)

        for number in range(2_000):
            first.bus.subscribe(f"c{number}")
        assert await first.bus.settled()
        for number in range(2_000):
            second.bus.publish(pub(f"c{number}", b"1"))

        await eventually(lambda: len(heard.deliveries) == 2_000)


async def test_a_left_channel_is_silent_at_once_and_given_up_later(server: RedisServer) -> None:
    heard = Heard()
    settings = replace(FAST, unsubscribe_after_s=0.2)
    async with (
        process("p1", heard, server.url, settings=settings) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await subscribed(opened, "left", "kept")

        opened.bus.unsubscribe("left")
        opened.bus.unsubscribe("unknown")
        opened.bus.publish(pub("left", b"1"))
        opened.bus.publish(pub("kept", b"1"))

        await eventually(lambda: heard.data("kept"))
        assert heard.data("left") == []
        assert await client.pubsub_numsub("t:c:left") == [(b"t:c:left", 1)]
        await eventually(lambda: no_subscribers(client, "t:c:left"))


async def no_subscribers(client: "redis.asyncio.Redis", channel: str) -> bool:
    return await client.pubsub_numsub(channel) == [(channel.encode(), 0)]


async def test_a_channel_that_is_wanted_again_in_time_was_never_given_up(server: RedisServer) -> None:
    now = 100.0
    heard = Heard()
    settings = replace(FAST, unsubscribe_after_s=0.2, monotonic=lambda: now)
    async with (
        process("p1", heard, server.url, settings=settings) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await subscribed(opened, "left", "back")
        opened.bus.unsubscribe("left")
        opened.bus.unsubscribe("back")
        opened.bus.subscribe("back")

        now += 0.3

        await eventually(lambda: no_subscribers(client, "t:c:left"))
        opened.bus.publish(pub("back", b"1"))
        await eventually(lambda: heard.data("back"))


POISON = [
    b"",
    b"junk",
    b"\x80\x04\x95.",
    b'{"type":"message.created"}',
    b"1:e::" + msgspec.msgpack.encode([99, "pub", b"1"]),
    b"x" * 2_000_000,
]


async def test_poison_is_counted_and_skipped_and_complained_about_once(server: RedisServer) -> None:
    heard = Heard()
    async with (
        process("p1", heard, server.url) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await subscribed(opened, "news")

        with capture_logs() as logs:
            for poison in POISON:
                await client.publish("t:c:news", poison)
            await client.publish("t:b:p1", b"not a heartbeat")
            opened.bus.publish(pub("news", b"1"))
            await eventually(lambda: heard.deliveries)

        assert heard.data("news") == [b"1"]
        assert opened.bus.stats().bad == len(POISON)
        assert [entry["event"] for entry in logs].count("bus_poison") == 1
        assert opened.bus.alive
        assert heard.gaps == []


async def test_a_listener_that_fails_harms_only_its_own_delivery(server: RedisServer) -> None:
    class Failing(Heard):
        def on_delivery(self, delivery: Delivery) -> None:
            if delivery.publication.data == Raw(b"1"):
                raise RuntimeError("a mistake")
            super().on_delivery(delivery)

    heard = Failing()
    async with process("p1", heard, server.url) as opened:
        await subscribed(opened, "news")
        with capture_logs() as logs:
            opened.bus.publish(pub("news", b"1"))
            opened.bus.publish(pub("news", b"2"))
            await eventually(lambda: heard.deliveries)

        assert heard.data("news") == [b"2"]
        assert [entry["event"] for entry in logs] == ["bus_listener_failed"]
        assert opened.bus.alive


async def test_a_ping_goes_all_the_way_round(server: RedisServer) -> None:
    async with process("p1", Heard(), server.url) as opened:
        await eventually(lambda: opened.bus.alive)

        assert 0 < await opened.bus.ping_ms() < 1_000


async def test_without_redis_everything_opens_and_nothing_waits(unused_socket: Path) -> None:
    async with asyncio.timeout(30), process("p1", Heard(), f"unix://{unused_socket}") as opened:
        opened.bus.subscribe("news")
        opened.bus.publish(pub("news", b"1"))
        opened.bus.control(b"hello")

        assert not opened.bus.alive
        assert not await opened.bus.settled()
        with pytest.raises(ConnectionError):
            await opened.bus.ping_ms()


async def test_what_waits_for_an_absent_server_is_bounded_and_the_oldest_go_first(server: RedisServer) -> None:
    heard = Heard()
    settings = replace(FAST, outgoing_max_items=100, outgoing_max_bytes=10_000)
    await server.stop(now=True)
    async with process("p1", heard, server.url, settings=settings) as opened:
        for number in range(1_000):
            opened.bus.publish(pub("news", b"%03d" % number))
        assert opened.bus.stats().dropped == 900
        opened.bus.publish(pub("news", b"x" * 9_900))
        stats = opened.bus.stats()
        assert stats.queued_bytes <= 10_000
        opened.bus.publish(pub("news", b"x" * 20_000))
        assert opened.bus.stats().dropped == 1_002
        assert opened.bus.stats().queued_bytes == 0


async def test_a_frozen_server_bounds_what_waits(server: RedisServer) -> None:
    settings = replace(FAST, outgoing_max_bytes=100_000, dead_after_s=60)
    async with process("p1", Heard(), server.url, settings=settings) as opened:
        await eventually(lambda: opened.bus.alive)
        with frozen(server.pid):
            for _ in range(200):
                for _ in range(100):
                    opened.bus.publish(pub("news", b"x" * 1_000))
                await asyncio.sleep(0)

            assert opened.bus.stats().queued_bytes <= 100_000
            assert opened.bus.stats().dropped > 10_000


async def test_leaving_sends_what_is_still_to_be_said(server: RedisServer) -> None:
    heard = Heard()
    async with process("p1", heard, server.url) as first:
        await subscribed(first, "news")
        async with process("p2", Heard(), server.url) as second:
            await eventually(lambda: second.bus.alive)
            for number in range(1_000):
                second.bus.publish(pub("news", b"%d" % number))

        await eventually(lambda: len(heard.deliveries) == 1_000)
