"""Gaps and catching up on one process: what is read late, hangs, or fails at first."""

import asyncio
from typing import Any

import pytest

from realtime.repair import AWAY_PER_S, POLLED_PER_S, poll_wait_s
from realtime.settings import Settings
from support.engine import Gate, ListFeed, SmallProduct, serve_engine
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


def test_polls_come_less_often_where_very_much_moves() -> None:
    assert poll_wait_s(2.0, 100, alive=True) == 2.0
    assert poll_wait_s(2.0, 10 * POLLED_PER_S, alive=True) == 10.0
    assert poll_wait_s(2.0, 100, alive=False) == 1.0
    assert poll_wait_s(2.0, 10 * AWAY_PER_S, alive=False) == 10.0


class TestRepair:
    async def test_a_read_that_was_too_old_is_repeated(self, served):
        """Readers share reads: one may get the answer of a read that began before there was anything to find."""
        served.product.feed.quiet = True
        after = served.product.feed.after
        answers = [[]]

        async def old_at_first(channel: str, offset: int, **limits: int) -> Any:
            return answers.pop() if answers else await after(channel, offset, **limits)

        served.product.feed.after = old_at_first
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            served.product.feed.append("log:1", "1")
            append(served, "log:1", "2")
            await alice.until(lambda: alice.offsets("log:1") == [1, 2])

    async def test_channels_in_redis_that_hang_do_not_hold_up_the_log(self, served):
        served.product.feed.quiet = True
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            for number in range(20):
                await alice.call(subscribe={"channel": f"kept:{number}"})
            gate = Gate()
            served.redis.streams.read = gated(served.redis.streams.read, gate)
            gate.shut()
            for number in range(20):
                served.engine.hub.gaps.put(served.engine.hub.channels[f"kept:{number}"])
            await eventually(lambda: gate.waiting)
            served.product.feed.append("log:1", "1")
            append(served, "log:1", "2")
            await alice.until(lambda: alice.offsets("log:1") == [1, 2])
            gate.open()

    async def test_a_fault_with_one_channel_does_not_end_the_process(self, served):
        after = served.product.feed.after
        faults = [RuntimeError("a fault of ours")]

        async def faulty_at_first(channel: str, offset: int, **limits: int) -> Any:
            if faults:
                raise faults.pop()
            return await after(channel, offset, **limits)

        served.product.feed.after = faulty_at_first
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            served.product.feed.append("log:1", "1")
            append(served, "log:1", "2")
            await alice.until(lambda: alice.offsets("log:1") == [1, 2])
        assert not served.engine.running.done()


class TestCatchUp:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(max_recovery_channel_bytes=1000)

    async def test_over_the_budget_the_clients_own_subscription_ends_without_a_trace(self, served):
        served.product.server_side = []
        served.product.max_missed = 1000
        for _ in range(300):
            served.product.feed.append("log:2", '"' + "x" * 200 + '"')
        async with wire_client(served.url) as alice, wire_client(served.url) as bob:
            await alice.connect("alice")
            await bob.connect("bob")
            await bob.call(subscribe={"channel": "log:2"})
            await alice.call(subscribe={"channel": "log:2", "recover": True, "epoch": "e", "offset": 0})
            await alice.until(lambda: removed(alice, "log:2"))
            got = len(alice.offsets("log:2"))
            append(served, "log:2", '"live"')
            await bob.until(lambda: bob.offsets("log:2") == [301])
            assert served.engine.hub.channels["log:2"].subscribers == 1
            assert await alice.rpc("echo", x=1) == {"x": 1}
            assert len(alice.offsets("log:2")) == got

    async def test_a_fault_makes_the_client_come_again(self, served):
        served.product.feed.append("log:1", "1")

        async def faulty(channel: str, offset: int, **limits: int) -> Any:
            raise RuntimeError("a fault of ours")

        served.product.feed.after = faulty
        async with wire_client(served.url) as alice:
            await alice.connect("alice", subs={"log:1": {"recover": True, "epoch": "e", "offset": 0}})
            assert await alice.closed() == 3010

    async def test_a_feed_that_has_nothing_yet_is_not_asked_all_the_time(self, served):
        served.product.feed.append("log:1", "1")
        after = served.product.feed.after
        asked = []

        async def nothing_at_first(channel: str, offset: int, **limits: int) -> Any:
            asked.append(offset)
            return await after(channel, offset, **limits) if len(asked) > 2 else []

        served.product.feed.after = nothing_at_first
        async with wire_client(served.url) as alice:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await alice.connect("alice", subs={"log:1": {"recover": True, "epoch": "e", "offset": 0}})
            await alice.until(lambda: alice.offsets("log:1") == [1])
            assert loop.time() - began > 0.5
