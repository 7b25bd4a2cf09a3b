"""Reading what all processes tell, and what is made of their silence."""

import asyncio
import time

import pytest

from chat.admin import live as module
from chat.admin.live import Live, ProcessView, running
from chat.health import Readiness
from realtime.ports import ProcessInfo
from support.admin_cluster import FakeCluster, FakeProcess, now_ms


class Clock:
    """Monotonic and wall clock in one."""

    def __init__(self) -> None:
        self.start_ms: int = now_ms()
        self.passed_s = 0.0

    def ms(self) -> int:
        return self.start_ms + int(self.passed_s * 1000)

    def monotonic(self) -> float:
        return self.passed_s


class World:
    """A live view that is read by hand, over two fake hubs of two nodes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.own = FakeProcess("a", "0", "hub", 1.0, 1)
        self.other = FakeProcess("b", "0", "hub", 1.0, 2)
        for each in (self.own, self.other):
            each.connect(10)
        self.cluster = FakeCluster([self.own, self.other])
        self.live = Live(
            self.cluster,
            lambda: self.own.snapshot,
            self.cluster,
            clock=self.clock.ms,
            monotonic=self.clock.monotonic,
        )

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            self.clock.passed_s += 1
            for each in self.cluster.processes:
                each.clock = self.clock.ms
            self.cluster.step(1)
            await self.live.read()

    async def view(self, process: FakeProcess) -> ProcessView:
        overview = await self.overview()
        return next(view for view in overview.processes if view.process == process.who.process)

    async def overview(self) -> module.Overview:
        assert self.live._overview is not None
        return self.live._overview


@pytest.fixture
def world() -> World:
    return World()


async def test_sums_are_of_all_processes_and_of_each_node(world: World) -> None:
    await world.seconds(3)
    overview = await world.overview()

    assert overview.source == "all"
    assert overview.total.connections == 20
    assert {node: point.connections for node, point in overview.nodes.items()} == {"a": 10, "b": 10}
    rates = [view.doing.out_per_s for view in overview.processes]
    assert overview.total.out_per_s == pytest.approx(sum(rate for rate in rates if rate), rel=0.01)


async def test_a_process_that_hangs_is_stale_and_keeps_only_its_connections_in_the_sum(world: World) -> None:
    await world.seconds(3)
    world.other.frozen = True
    await world.seconds(7)
    view = await world.view(world.other)

    assert (view.state, view.age_s) == ("stale", 7.0)
    assert (view.doing.connections, view.doing.out_per_s) == (10, None)
    assert (await world.overview()).total.connections == 20


async def test_a_process_without_a_lease_is_gone_and_forgotten_after_a_minute(world: World) -> None:
    await world.seconds(3)
    world.cluster.processes.remove(world.other)
    await world.seconds(2)
    assert (await world.view(world.other)).state == "gone"
    assert (await world.overview()).total.connections == 10
    await world.seconds(60)
    assert [view.process for view in (await world.overview()).processes] == [world.own.who.process]


async def test_without_redis_this_process_is_shown_and_the_sums_are_not_drawn(world: World) -> None:
    await world.seconds(3)
    before = world.live.history.columns("total")["at"]
    world.cluster.redis_away = True
    await world.seconds(90)
    overview = await world.overview()

    assert overview.source == "process"
    assert overview.total.connections == 10
    assert [(view.node, view.state) for view in overview.processes] == [("a", "live"), ("b", "unknown")]
    assert world.live.history.columns("total")["at"] == before
    assert len(world.live.history.columns(f"process:{world.own.who.process}")["at"]) == 93

    world.cluster.redis_away = False
    await world.seconds(2)
    assert (await world.overview()).source == "all"
    assert len(world.live.history.columns("total")["at"]) == len(before) + 2


async def test_a_redis_that_hangs_costs_a_second_and_not_the_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_TIMEOUT_S", 0.01)

    async def hang() -> list[ProcessInfo]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(world.cluster, "living", hang)
    await world.seconds(1)
    assert (await world.overview()).source == "process"


@pytest.mark.parametrize("snapshot", [b"", b"not json", b'{"v": 99}'])
async def test_a_snapshot_that_cannot_be_read_takes_nobody_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch, snapshot: bytes
) -> None:
    async def living() -> list[ProcessInfo]:
        return [ProcessInfo("other", "b", snapshot)]

    monkeypatch.setattr(world.cluster, "living", living)
    await world.seconds(2)
    assert (await world.overview()).total.connections == 10


async def test_disconnects_are_counted_by_code_in_all_and_lately(world: World) -> None:
    await world.seconds(1)
    base = (await world.overview()).disconnects.get("3000")
    assert base is None
    for _ in range(4):
        world.own.stats.disconnected(3000)
    world.other.stats.disconnected(3000)
    await world.seconds(1)
    counted = (await world.overview()).disconnects["3000"]
    assert (counted.total, counted.last_minute) == (5, 5)
    await world.seconds(70)
    counted = (await world.overview()).disconnects["3000"]
    assert (counted.total, counted.last_minute) == (5, 0)


async def test_a_conversation_with_subscribers_on_two_processes_is_one(world: World) -> None:
    world.other.hot_suffix = world.own.hot_suffix = "same"
    await world.seconds(1)
    first = world.live.conversations(3)[0]

    assert first.processes == sorted([world.own.who.process, world.other.who.process])
    assert (first.deliveries_per_s, first.subscribers) == (1800, 800)
    assert len(world.live.conversations(3)) == 3


async def test_it_reads_every_second_only_while_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCHED_INTERVAL_S", 0.01)
    monkeypatch.setattr(module, "IDLE_INTERVAL_S", 3600.0)
    own = FakeProcess("a", "0", "hub", 1.0, 1)
    cluster = FakeCluster([own])
    async with running(make(cluster, own)) as live:
        first = await live.overview()
        with live.watching():
            for _ in range(3):
                assert (await live.next()).at >= first.at
        # One more may be underway, that was due while somebody watched.
        await asyncio.wait([asyncio.create_task(live.next(), name="underway")], timeout=0.1)
        idle = asyncio.create_task(live.next())
        await asyncio.wait([idle], timeout=0.1)
        assert not idle.done()
        idle.cancel()


async def test_a_reading_that_fails_is_logged_and_the_next_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_INTERVAL_S", 0.01)
    own = FakeProcess("a", "0", "hub", 1.0, 1)
    cluster = FakeCluster([own])
    failures = iter([RuntimeError("a bug")])
    original = cluster.readiness

    async def failing() -> Readiness:
        for failure in failures:
            raise failure
        return await original()

    monkeypatch.setattr(cluster, "readiness", failing)
    async with asyncio.timeout(30), running(make(cluster, own)) as live:
        assert (await live.overview()).total.connections == 0


async def test_closing_lets_everybody_go() -> None:
    own = FakeProcess("a", "0", "hub", 1.0, 1)
    async with running(make(FakeCluster([own]), own)) as live:
        await live.overview()
        waiting = asyncio.create_task(live.next())
        await asyncio.sleep(0)
    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(ConnectionError):
        await live.overview()


def make(cluster: FakeCluster, own: FakeProcess) -> Live:
    return Live(cluster, lambda: own.snapshot, cluster, clock=now_ms, monotonic=time.monotonic)
