"""Two processes of the engine on one Redis: what happens on one is heard on the other."""

import asyncio

import pytest
from msgspec import json

from realtime.control import DisconnectSessions, SubscribeSessions, Target, UnsubscribeSessions
from realtime.ports import Delivery
from realtime.protocol.messages import Payload, Publication
from support.engine import ListFeed, SmallProduct, serve_engine
from support.waiting import eventually
from support.wire_client import wire_client


@pytest.fixture
def product() -> SmallProduct:
    return SmallProduct(ListFeed(), server_side=["log:1"])


@pytest.fixture
async def both(redis_url, redis_prefix, product):
    async with (
        serve_engine(redis_url, redis_prefix, product) as one,
        serve_engine(redis_url, redis_prefix, product) as two,
    ):
        await eventually(lambda: one.redis.bus.alive and two.redis.bus.alive)
        yield one, two


async def test_a_publication_on_one_reaches_members_on_both_in_order_once(both):
    one, two = both
    async with wire_client(one.url) as alice, wire_client(two.url) as bob:
        await alice.connect("alice")
        await bob.connect("bob")
        for number in range(1, 101):
            served = both[number % 2]
            publication = one.product.feed.append("log:1", str(number))
            served.engine.hub.publish(Delivery("log:1", "pub", publication, "e"))
            if number % 10 == 0:
                await asyncio.sleep(0)
        for client in (alice, bob):
            await client.until(lambda client=client: len(client.offsets("log:1")) >= 100)
            assert client.offsets("log:1") == list(range(1, 101))


async def test_ephemeral_publications_come_once_on_every_process(both):
    one, two = both
    async with wire_client(one.url) as alice, wire_client(two.url) as bob:
        await alice.connect("alice")
        await bob.connect("bob")
        one.engine.hub.publish(Delivery("log:1", "pub", Publication(Payload(b'{"type":"typing"}'))))
        for client in (alice, bob):
            await client.until(lambda client=client: client.publications("log:1"))
        one.engine.hub.publish(Delivery("log:1", "pub", Publication(Payload(b'{"type":"typing","last":true}'))))
        for client in (alice, bob):
            await client.until(lambda client=client: len(client.publications("log:1")) == 2)


async def test_plain_publish_with_history_has_one_order_everywhere(both):
    one, two = both
    async with wire_client(one.url) as alice, wire_client(two.url) as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            await client.connect(name)
            await client.call(subscribe={"channel": "kept:news"})
        for number in range(20):
            await (alice, bob)[number % 2].call(publish={"channel": "kept:news", "data": number})
        for client in (alice, bob):
            await client.until(lambda client=client: len(client.offsets("kept:news")) == 20)
            assert client.offsets("kept:news") == list(range(1, 21))
        assert [pub["data"] for pub in alice.publications("kept:news")] == list(range(20))


async def test_history_without_positions_delivers_once_as_well(both):
    one, two = both
    async with wire_client(one.url) as alice, wire_client(two.url) as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            await client.connect(name)
            await client.call(subscribe={"channel": "loose:1"})
        for number in range(1, 6):
            await alice.call(publish={"channel": "loose:1", "data": number})
        await bob.call(publish={"channel": "loose:1", "data": 6})
        for client in (alice, bob):
            await client.until(lambda client=client: 6 in [pub["data"] for pub in client.publications("loose:1")])
            assert [pub["data"] for pub in client.publications("loose:1")] == [1, 2, 3, 4, 5, 6]


async def test_operations_reach_sessions_on_the_other_process(both):
    one, two = both
    async with wire_client(two.url) as bob:
        await bob.connect("bob")
        subscribe = SubscribeSessions(
            Target("bob"), "log:2", positioned=True, recoverable=True, since_epoch="e", since_offset=0, durable=True
        )
        one.product.feed.append("log:2", "1")
        one.engine.operations.do(subscribe)
        await bob.until(lambda: bob.offsets("log:2") == [1])
        one.engine.operations.do(UnsubscribeSessions(Target("bob"), "log:2", 2000, "bye"))
        await bob.until(lambda: any("unsubscribe" in push for push in bob.pushes))
        one.engine.operations.do(DisconnectSessions(Target("bob"), 3503, ""))
        assert await bob.closed() == 3503


async def test_asking_gathers_the_answers_of_all_processes(both):
    one, two = both
    for served in both:
        served.engine.operations.answer("ping", lambda data, served=served: data + served.url.encode())
    await eventually(lambda: _both_live(one))
    answers = await one.engine.operations.ask("ping", b">")
    assert sorted(answers.values()) == sorted([b">" + one.url.encode(), b">" + two.url.encode()])


async def _both_live(served) -> bool:
    return len(await served.redis.processes.living()) == 2


async def test_notices_reach_the_other_processes_only(both):
    one, two = both
    heard: list[tuple[str, bytes]] = []
    for name, served in (("one", one), ("two", two)):
        served.engine.operations.on_notice("hello", lambda data, name=name: heard.append((name, data)))
    one.engine.operations.notify("hello", json.encode({"n": 1}))
    await eventually(lambda: heard == [("two", b'{"n":1}')])


async def test_what_is_heard_on_the_bus_is_not_counted_as_published(both):
    one, two = both
    async with wire_client(one.url) as alice, wire_client(two.url) as bob:
        for client, name in ((alice, "alice"), (bob, "bob")):
            await client.connect(name)
            await client.call(subscribe={"channel": "kept:news"})
        one.engine.hub.publish(Delivery("log:1", "pub", one.product.feed.append("log:1", "1"), "e"))
        await alice.call(publish={"channel": "kept:news", "data": 1})
        await bob.until(lambda: bob.offsets("log:1") == [1] and bob.offsets("kept:news") == [1])
        assert (one.engine.stats.publications_in, two.engine.stats.publications_in) == (2, 0)
        assert (one.engine.stats.deliveries, two.engine.stats.deliveries) == (2, 2)


async def test_how_long_the_bus_takes_is_measured_on_it(both):
    for served in both:
        await eventually(lambda served=served: sum(served.engine.stats.bus_lag.counts))
