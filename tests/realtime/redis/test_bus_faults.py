"""What a hub relies on when a Redis misbehaves: a loss is noticed, and told as soon as it can be repaired."""

import asyncio
import time
from dataclasses import replace

import redis
import redis.asyncio

from realtime.ports import Delivery
from realtime.redis.address import parse_address
from realtime.redis.envelope import encode
from realtime.redis.link import Link
from realtime.tasks import Tasks
from storage.local.redis_server import RedisServer
from support.redis_bus import FAST, Heard, frozen, process, pub, subscribed
from support.waiting import eventually

MANY = [f"c{number}" for number in range(3_000)]


async def test_a_frozen_server_is_found_by_the_heartbeat(server: RedisServer) -> None:
    heard = Heard()
    settings = replace(FAST, heartbeat_interval_s=0.5, dead_after_s=1.5)
    async with process("p1", heard, server.url, settings=settings) as opened:
        await subscribed(opened, "news")
        frozen_at = time.monotonic()
        with frozen(server.pid):
            await eventually(lambda: not opened.bus.alive)
            found_after_s = time.monotonic() - frozen_at
            assert heard.gaps == []
            assert not await opened.bus.settled()

        await eventually(lambda: opened.bus.alive)
        assert found_after_s < 10
        assert heard.gaps == [None]
        assert opened.bus.stats().gaps == 1
        opened.bus.publish(pub("news", b"after"))
        await eventually(lambda: b"after" in heard.data("news"))


async def test_a_killed_connection_is_a_gap_and_is_back_at_once(server: RedisServer) -> None:
    heard = Heard()
    async with (
        process("p1", heard, server.url) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await subscribed(opened, *MANY)

        await client.client_kill_filter(_type="pubsub")
        await eventually(lambda: heard.gaps)

        assert heard.gaps == [None]
        assert opened.bus.alive
        for channel in MANY:
            opened.bus.publish(pub(channel, b"1"))
        await eventually(lambda: len(heard.deliveries) == len(MANY))


async def test_a_restarted_server_is_told_of_every_channel_again(server: RedisServer) -> None:
    heard = Heard()
    async with process("p1", heard, server.url) as opened:
        await subscribed(opened, *MANY)

        await server.stop(now=True)
        await eventually(lambda: not opened.bus.alive)
        opened.bus.subscribe("during")
        opened.bus.publish(pub("during", b"1"))
        assert heard.gaps == []
        await server.start()
        await eventually(lambda: opened.bus.alive)

        assert heard.gaps == [None]
        async with redis.asyncio.from_url(server.url, protocol=2) as client:
            assert len(await client.pubsub_channels("t:c:*")) == len(MANY) + 1
        for channel in [*MANY, "during"]:
            opened.bus.publish(pub(channel, b"2"))
        await eventually(lambda: {each.channel for each in heard.deliveries} == {*MANY, "during"})


async def test_each_restart_is_one_gap_and_one_connection(server: RedisServer) -> None:
    heard = Heard()
    async with process("p1", heard, server.url) as opened:
        await subscribed(opened, "news")
        for restarts in range(1, 4):
            await server.stop(now=True)
            await eventually(lambda: not opened.bus.alive)
            await server.start()
            await eventually(lambda: opened.bus.alive)

            assert heard.gaps == [None] * restarts
            assert opened.bus.stats().connects == restarts + 1


async def test_a_server_that_comes_late_is_a_gap_for_what_was_subscribed_before(server: RedisServer) -> None:
    heard = Heard()
    await server.stop(now=True)
    async with process("p1", heard, server.url) as opened:
        opened.bus.subscribe("news")
        await server.start()

        await eventually(lambda: heard.gaps == [None])
        assert opened.bus.alive
        assert opened.bus.stats().gaps == 0


async def test_a_wiped_server_changes_nothing_for_the_bus(server: RedisServer) -> None:
    heard = Heard()
    async with (
        process("p1", heard, server.url) as opened,
        redis.asyncio.from_url(server.url, protocol=2) as client,
    ):
        await subscribed(opened, "news")

        await client.flushall()
        opened.bus.publish(pub("news", b"1"))

        await eventually(lambda: heard.deliveries)
        assert heard.gaps == []


async def test_a_subscriber_that_fell_too_far_behind_is_dropped_by_redis_and_notices(server: RedisServer) -> None:
    heard = Heard()
    async with process("p1", heard, server.url) as opened:
        await subscribed(opened, "news")

        # With a client that blocks, so that the subscriber gets no turn to read.
        with redis.from_url(server.url, protocol=2) as client:
            client.config_set("client-output-buffer-limit", "pubsub 100kb 0 0")
            for _ in range(100):
                client.publish("t:c:news", b"x" * 100_000)

        await eventually(lambda: heard.gaps == [None])
        assert opened.bus.alive


async def test_a_process_that_was_itself_too_busy_does_not_blame_the_link(server: RedisServer) -> None:
    heard = Heard()
    async with process("p1", heard, server.url) as opened:
        await subscribed(opened, "news")

        for _ in range(2):
            time.sleep(2 * FAST.dead_after_s)
            await asyncio.sleep(FAST.heartbeat_interval_s)

        assert opened.bus.alive
        assert heard.gaps == []


async def test_a_process_that_is_behind_with_its_reading_is_not_cut_off(server: RedisServer) -> None:
    class Slow(Heard):
        def on_delivery(self, delivery: Delivery) -> None:
            time.sleep(0.001)
            super().on_delivery(delivery)

    heard = Slow()
    async with process("p1", heard, server.url) as opened:
        await subscribed(opened, "news")
        with redis.from_url(server.url, protocol=2) as client, client.pipeline(transaction=False) as pipeline:
            for _ in range(3_000):
                pipeline.publish("t:c:news", encode(pub("news", b"x" * 5_000)))
            pipeline.execute()

        await eventually(lambda: len(heard.deliveries) == 3_000)
        assert opened.bus.alive
        assert heard.gaps == []


async def test_a_link_whose_heartbeats_do_not_come_back_is_given_up_though_others_are_heard(
    server: RedisServer,
) -> None:
    heard: list[bytes] = []
    muted = False

    def send(channel: bytes, message: bytes) -> None:
        if not muted:
            other.bus.writers[0].beat(channel, message)

    async with process("p2", Heard(), server.url) as other, Tasks() as tasks:
        link = Link(
            parse_address(server.url),
            client_name="t",
            heartbeat=b"t:b:t",
            own=(),
            send=send,
            on_message=lambda _, message: heard.append(message),
            on_control=lambda _: None,
            on_up=lambda _: None,
            settings=replace(FAST, heartbeat_overdue_s=0.6),
        )
        link.subscribe(b"t:c:news", "news")
        tasks.spawn(link.run(), name="link")
        await eventually(lambda: link.up)
        muted = True

        def lost_while_hearing() -> bool:
            other.bus.publish(pub("news", b"1"))
            return link.epoch == 1

        await eventually(lost_while_hearing)
        assert len(heard) > 10
        assert not link.up
        muted = False
        await eventually(lambda: link.up)


async def test_two_servers_share_the_channels_and_fail_apart(server: RedisServer, second_server: RedisServer) -> None:
    heard = Heard()
    urls = (server.url, second_server.url)
    async with process("p1", heard, *urls) as opened, process("p2", Heard(), *reversed(urls)) as other:
        await subscribed(opened, *MANY)
        await eventually(lambda: other.bus.alive)
        async with redis.asyncio.from_url(server.url, protocol=2, decode_responses=True) as client:
            on_first = {str(name)[4:] for name in await client.pubsub_channels("t:c:*")}
        assert 1_200 < len(on_first) < 1_800
        for channel in MANY:
            other.bus.publish(pub(channel, b"1"))
        await eventually(lambda: len(heard.deliveries) == len(MANY))

        await second_server.stop(now=True)
        await eventually(lambda: opened.bus.stats().up == other.bus.stats().up == 1)
        heard.deliveries.clear()
        assert not opened.bus.alive
        for channel in MANY:
            other.bus.publish(pub(channel, b"2"))
        other.bus.control(b"hello", process="p1")
        other.bus.control(b"hello all")

        await eventually(lambda: {each.channel for each in heard.deliveries} == on_first)
        await eventually(lambda: sorted(heard.controls) == [b"hello", b"hello all"])
        await second_server.start()
        await eventually(lambda: opened.bus.alive)
        assert heard.gaps == [set(MANY) - on_first]
        for channel in MANY:
            other.bus.publish(pub(channel, b"3"))
        await eventually(lambda: {each.channel for each in heard.deliveries} == set(MANY))
