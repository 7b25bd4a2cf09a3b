"""Sessions that are behind: order, pace and budget."""

import asyncio
import json

import pytest

from realtime.ports import Delivery
from support.engine import ListFeed, SmallProduct, serve_engine
from support.wire_client import wire_client


@pytest.fixture
def product() -> SmallProduct:
    return SmallProduct(ListFeed(), server_side=["log:1", "log:2"], max_missed=10_000)


@pytest.fixture
async def served(redis_url, redis_prefix, product):
    async with serve_engine(redis_url, redis_prefix, product) as served:
        yield served


def append(served, channel: str, data: str) -> None:
    publication = served.product.feed.append(channel, data)
    served.engine.hub.publish(Delivery(channel, "pub", publication, "e"))


async def test_live_publications_never_overtake_what_was_missed(served):
    """Under live traffic in both channels a session that resumes sees each channel strictly in order."""
    for number in range(2000):
        served.product.feed.append("log:1", json.dumps("x" * 300 + str(number)))
    subs = {"log:1": {"recover": True, "epoch": "e", "offset": 0}}
    async with wire_client(served.url) as alice:

        async def talk() -> None:
            for _ in range(300):
                append(served, "log:1", json.dumps("y" * 300))
                append(served, "log:2", json.dumps("z" * 2000))
                await asyncio.sleep(0)

        talking = asyncio.create_task(talk())
        await alice.connect("alice", subs=subs)
        await talking
        await alice.until(lambda: len(alice.offsets("log:1")) >= 2300)
        assert alice.offsets("log:1") == list(range(1, 2301))
        assert alice.offsets("log:2") == sorted(alice.offsets("log:2"))


async def test_over_the_budget_the_session_starts_at_the_head_and_is_told(served):
    for _ in range(40):
        served.product.feed.append("log:1", json.dumps("x" * 50_000))
    async with wire_client(served.url) as alice:
        subs = {"log:1": {"recover": True, "epoch": "e", "offset": 0}}
        await alice.connect("alice", subs=subs)
        await alice.until(lambda: any("subscribe" in push for push in alice.pushes))
        kinds = [next(key for key in push if key != "channel") for push in alice.pushes]
        got = kinds.index("unsubscribe")
        assert kinds[got : got + 2] == ["unsubscribe", "subscribe"]
        assert alice.pushes[got + 1]["subscribe"]["offset"] == 40
        assert alice.offsets("log:1") == list(range(1, got + 1))
        append(served, "log:1", '"live"')
        await alice.until(lambda: alice.offsets("log:1")[-1] == 41)


async def test_sessions_that_resume_from_the_same_place_share_reads(served):
    for number in range(500):
        served.product.feed.append("log:1", str(number))
    reads = []
    original = served.product.feed.after

    async def counted(channel: str, offset: int, **limits):
        reads.append(offset)
        return await original(channel, offset, **limits)

    served.product.feed.after = counted
    subs = {"log:1": {"recover": True, "epoch": "e", "offset": 0}}

    async def resume(client, name: str) -> None:
        await client.connect(name, subs=subs)
        await client.until(lambda: len(client.offsets("log:1")) == 500)

    async with wire_client(served.url) as alice, wire_client(served.url) as bob, wire_client(served.url) as carol:
        await asyncio.gather(resume(alice, "alice"), resume(bob, "bob"), resume(carol, "carol"))
        for client in (alice, bob, carol):
            assert client.offsets("log:1") == list(range(1, 501))
