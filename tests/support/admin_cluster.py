"""A double of our own ports behind the admin page: processes that tell plausible numbers, with faults to switch on.

Run it to look at the page: `python tests/support/admin_cluster.py` prints a sign-in link.
"""

import asyncio
import math
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from chat.admin.connections import ConnectionInfo, ConnectionPage, Order, page
from chat.admin.links import mint
from chat.admin.live import Live, running
from chat.admin.routes import Admin, admin_routes
from chat.health import DependencyHealth, Readiness
from chat.limits.addresses import AddressLimits
from chat.metrics.families import take
from chat.metrics.methods import MethodStats
from chat.metrics.registry import process_registry
from chat.metrics.snapshot import Buckets, Hot, Identity, Snapshot, encode, make
from realtime.histogram import histogram
from realtime.ports import ProcessInfo
from realtime.rates import Rate
from realtime.stats import LAG_BUCKETS, Stats

SECRET = b"0123456789abcdef0123456789abcdef"
BATCH_BOUNDS = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]
SDKS = (("js", "5.4.0"), ("swift", "0.9.1"), ("java", "0.7.2"), ("dart", "0.19.1"), ("python", "0.7.0"))
PEOPLE = ("ada", "grace", "linus", "barbara", "edsger", "margaret", "donald", "frances", "ken", "radia")


def now_ms() -> int:
    return int(time.time() * 1000)


class FakeProcess:
    """One process with real counters that `step` moves."""

    def __init__(self, node: str, slot: str, role: str, size: float, seed: int) -> None:
        self.random = random.Random(seed)
        self.registry = process_registry("0.1.0")
        # A worker has no hub: what it counts there stays out of its registry.
        hub = self.registry if role == "hub" else CollectorRegistry()
        self.stats = Stats(hub)
        self.methods = MethodStats(hub, ["message.send", "history.page"])
        self.lag = (
            self.stats.loop_lag
            if role == "hub"
            else histogram(self.registry, "hubbub_event_loop_lag_seconds", "H.", LAG_BUCKETS)
        )
        self.batch = [0] * (len(BATCH_BOUNDS) + 1)
        self.stored = 0.0
        self.size = size
        self.who = Identity(
            process=f"{node}-{slot}-{seed:04x}",
            node=node,
            slot=slot,
            role=role,
            pid=4000 + seed,
            version="0.1.0",
            started_at=now_ms() - 3_600_000 * (seed + 2),
        )
        self.frozen = False
        self.clock = now_ms
        self.hot_suffix = node
        self.phase = 0.0
        self.connections: list[ConnectionInfo] = []
        self.snapshot = self.make()

    def connect(self, count: int) -> None:
        """Open `count` connections."""
        for index in range(count):
            sdk, version = self.random.choice(SDKS)
            codec = "protobuf" if sdk in ("swift", "java", "dart") else "json"
            self.stats.connections[codec] += 1
            self.stats.connections_opened[codec] += 1
            user = self.random.choice(PEOPLE)
            self.connections.append(
                ConnectionInfo(
                    client=f"{self.who.process}-{self.random.getrandbits(48):012x}",
                    user=f"{user}{index % 50 or ''}",
                    process=self.who.process,
                    node=self.who.node,
                    codec=codec,
                    sdk=sdk,
                    sdk_version=version,
                    connected_at=now_ms() - self.random.randrange(1, 5_000_000),
                    queued_bytes=self.random.choice((0, 0, 0, 0, 0, 1_280, 23_400)),
                    subscriptions=self.random.randrange(1, 150),
                    address=f"203.0.113.{self.random.randrange(1, 255)}",
                )
            )
        self.snapshot = self.make()

    def named(self, *, user: str, sdk: str, address: str) -> ConnectionInfo:
        """The first connection, as if its client called itself something else."""
        return replace(self.connections[0], user=user, sdk=sdk, address=address)

    def step(self, seconds: float) -> None:
        """Let `seconds` of traffic pass."""
        if self.frozen:
            return
        self.phase += seconds
        wave = 1 + 0.35 * math.sin(self.phase / 40) + self.random.uniform(-0.12, 0.12)
        observe = self.random.lognormvariate
        stats, rate = self.stats, self.size * wave
        for _ in range(10):
            self.lag.observe(observe(-7.2, 0.7))
        if self.who.role == "hub":
            sent = int(rate * 45 * seconds)
            stats.users = int(len(self.connections) * 0.83)
            stats.subscriptions = len(self.connections) * 21
            stats.channels = len(self.connections) * 6
            stats.publications_in += sent
            stats.deliveries += int(sent * 38)
            stats.bytes_out += sent * 38 * 260
            stats.commands["rpc"] += sent
            stats.bus_alive = 1
            stats.bus_published += sent
            stats.bus_received += int(sent * 1.6)
            self.stored += sent * 0.9
            for _ in range(max(1, sent // 6)):
                size = max(1, int(observe(1.9, 0.6)))
                self.batch[sum(size > bound for bound in BATCH_BOUNDS)] += 1
                stats.fan_out_duration.observe(observe(-7.9, 0.6))
                self.methods.ack.observe(observe(-5.0, 0.45))
                stats.bus_lag.observe(observe(-6.6, 0.5))
            if self.random.random() < 0.5:
                stats.disconnected(self.random.choice((0, 0, 0, 3005, 3008, 3012)))
                stats.recoveries["yes" if self.random.random() < 0.96 else "no"] += 1
        self.snapshot = self.make()

    def make(self) -> Snapshot:
        """The snapshot as the real process would make it, with the storage's families added."""
        hot = [
            Hot(
                f"01jd{index:02d}q8r5zkx3vtm0n4{self.hot_suffix}",
                900 * self.size / (index + 1),
                400 // (index + 1),
            )
            for index in range(6 if self.who.role == "hub" else 0)
        ]
        base = make(take(self.registry.collect()), self.who, at=self.clock(), hot=hot)
        if self.who.role != "hub":
            return base
        base.counters["stored"] = self.stored
        base.histograms["batch"] = Buckets(BATCH_BOUNDS, list(self.batch))
        return base


class FakeCluster:
    """The ports of the admin page, over fake processes."""

    def __init__(self, processes: Sequence[FakeProcess]) -> None:
        self.processes = list(processes)
        self.redis_away = False
        self.mongodb_away = False
        self.claimed: set[str] = set()
        self.silent: list[str] = []
        self.disconnected: list[tuple[str, bool]] = []

    async def living(self) -> list[ProcessInfo]:
        if self.redis_away:
            raise ConnectionError("redis is away")
        return [ProcessInfo(each.who.process, each.who.node, encode(each.snapshot)) for each in self.processes]

    async def readiness(self) -> Readiness:
        away = [name for name, is_away in (("mongodb", self.mongodb_away), ("redis", self.redis_away)) if is_away]
        servers = {
            "mongodb": DependencyHealth("unavailable", None, "timeout")
            if self.mongodb_away
            else DependencyHealth("ok", 0.84),
            "redis": DependencyHealth("unavailable", None, "unreachable")
            if self.redis_away
            else DependencyHealth("ok", 0.21),
        }
        status = "unavailable" if self.mongodb_away else "degraded" if self.redis_away else "ok"
        return Readiness(status, [f"{name}_timeout" for name in away], servers)  # type: ignore[arg-type]

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        if self.redis_away:
            raise ConnectionError("redis is away")
        fresh = key not in self.claimed
        self.claimed.add(key)
        return fresh

    async def search(self, search: str, *, process: str | None, order: Order, limit: int) -> ConnectionPage:
        found = [c for each in self.processes if process in (None, each.who.process) for c in each.connections]
        answer = await page(found, lambda each: each, search, order=order, limit=limit)
        return ConnectionPage(items=answer.items, matching=answer.matching, silent=self.silent)

    async def disconnect(self, client: str, *, reconnect: bool) -> bool:
        if self.redis_away:
            raise ConnectionError("redis is away")
        for each in self.processes:
            kept = [connection for connection in each.connections if connection.client != client]
            if len(kept) < len(each.connections):
                each.connections = kept
                each.stats.connections["json"] -= 1
                each.stats.disconnected(3011 if reconnect else 3503)
                self.disconnected.append((client, reconnect))
                return True
        return False

    def step(self, seconds: float = 1.0) -> None:
        for each in self.processes:
            each.step(seconds)


def cluster() -> FakeCluster:
    """Two nodes with three hubs and a worker, connected and warm."""
    processes = [
        FakeProcess("fra-1", "0", "hub", 1.0, 1),
        FakeProcess("fra-1", "1", "hub", 0.9, 2),
        FakeProcess("fra-1", "worker", "worker", 0.1, 3),
        FakeProcess("fra-2", "0", "hub", 0.6, 4),
    ]
    for each in processes:
        if each.who.role == "hub":
            each.connect(int(1_300 * each.size))
    return FakeCluster(processes)


def admin(fake: FakeCluster, live: Live) -> Admin:
    """The page's parts over the double."""
    return Admin(
        live=live,
        connections=fake,
        claims=fake,
        secret=SECRET,
        secure=False,
        clock=now_ms,
        monotonic=time.monotonic,
        started_at=now_ms(),
        address=lambda request: request.remote or "",
        limits=AddressLimits(None, Rate(1 / 6, 10), counted=lambda _: None, monotonic=time.monotonic),
        reasons={3005: "expired", 3008: "slow", 3011: "force reconnect", 3012: "no pong", 3503: "force disconnect"},
    )


@asynccontextmanager
async def admin_app(fake: FakeCluster, *, past_s: int = 0) -> AsyncIterator[tuple[web.Application, Live]]:
    """An application with the admin routes, and the live view that runs behind it, with a past of so many seconds."""
    live = Live(fake, lambda: fake.processes[0].snapshot, fake, clock=now_ms, monotonic=time.monotonic)
    app = web.Application()
    app.add_routes(admin_routes(admin(fake, live)))

    async def close(_: web.Application) -> None:
        live.close()

    app.on_shutdown.append(close)
    await _backfill(fake, live, past_s)
    async with running(live):
        yield app, live


async def _backfill(fake: FakeCluster, live: Live, seconds: int) -> None:
    """Give the charts a past, as if the page had been watched for so long."""
    behind_s = float(seconds)

    def clock() -> int:
        return now_ms() - int(behind_s * 1000)

    live._clock, live._monotonic = clock, lambda: time.monotonic() - behind_s
    for each in fake.processes:
        each.clock = clock
    for _ in range(seconds):
        fake.step()
        await live.read()
        behind_s -= 1
    for each in fake.processes:
        each.clock = now_ms
    live._clock, live._monotonic = now_ms, time.monotonic


async def main(port: int) -> None:
    """Serve the page over the double until interrupted."""
    fake = cluster()
    async with admin_app(fake, past_s=880) as (app, _):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True).start()
        print(f"http://127.0.0.1:{port}/admin/login#{mint(SECRET, now_ms())}", flush=True)  # noqa: T201
        while True:
            fake.step()
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8090))
