"""Redis killed, frozen, slow, wiped, replaced, overflowing, poisoned: F1 to F7, F27."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import msgspec

from chaos.fault import Fault, Run
from chaos.faults.looking import (
    BACK_WITHIN_S,
    DEAD_WITHIN_S,
    acks_go_on,
    buses,
    counted,
    now,
    total,
    watching,
)
from chaos.servers import ChildServer, redis_service
from storage.local.find import located
from storage.local.ports import free_port
from support.servers import short_directory

BASELINE_S: Final = 3.0
_QUEUE_MAX_BYTES: Final = 8 << 20


async def _settle(run: Run) -> None:
    """Long enough to know what is usual."""
    await asyncio.sleep(BASELINE_S)


async def _require_back(run: Run, told: str) -> None:
    took_s = await run.until(buses(run, 1), within_s=BACK_WITHIN_S, told=f"the bus is alive again {told}")
    run.note("bus alive again after", f"{took_s:.1f} s")


@asynccontextmanager
async def killed(run: Run) -> AsyncIterator[None]:
    redis = run.cluster.redises[0]
    filled = await total(run, "hubbub_bus_filled_total")
    async with watching(run) as watch:
        await _settle(run)
        since = now()
        await redis.kill()
        took_s = await run.until(buses(run, 0), within_s=DEAD_WITHIN_S, told="every hub knows that the bus is dead")
        run.note("bus known to be dead after", f"{took_s:.1f} s")
        for hub in run.cluster.hubs:
            status, body = await hub.readiness()
            run.require(
                f"{hub.name} is degraded, not unready", status == 200 and "degraded" in body, f"{status} {body}"
            )
        try:
            yield
        finally:
            await redis.start()
        acks_go_on(run, watch, since, "without Redis")
    caught = await total(run, "hubbub_bus_filled_total") - filled
    run.require("what the bus lost is read from the log", caught > 0, f"{caught:.0f} publications")
    await _require_back(run, "after the restart")


RESTARTS: Final = 4


@asynccontextmanager
async def restarted_again_and_again(run: Run) -> AsyncIterator[None]:
    redis = run.cluster.redises[0]
    before = {hub.name: await counted(hub, "hubbub_bus_gaps_total") for hub in run.cluster.hubs}
    async with watching(run) as watch:
        await _settle(run)
        since = now()
        for _ in range(RESTARTS):
            await redis.kill()
            await redis.start()
            # A restart that a hub was not subscribed for yet is none for it.
            await run.until(buses(run, 1), within_s=BACK_WITHIN_S, told="the bus is alive between restarts")
            await asyncio.sleep(0.5)
        yield
        acks_go_on(run, watch, since, "while Redis restarts")
    for hub in run.cluster.hubs:
        gaps = await counted(hub, "hubbub_bus_gaps_total") - before[hub.name]
        run.require(f"{hub.name} notices every restart", gaps == RESTARTS, f"{gaps:.0f} gaps of {RESTARTS} restarts")


@asynccontextmanager
async def frozen(run: Run) -> AsyncIterator[None]:
    redis = run.cluster.redises[0]
    async with watching(run) as watch:
        await _settle(run)
        since = now()
        redis.freeze()
        try:
            took_s = await run.until(buses(run, 0), within_s=DEAD_WITHIN_S, told="every hub knows that the bus is dead")
            run.note("bus known to be dead after", f"{took_s:.1f} s")
            yield
        finally:
            redis.thaw()
        acks_go_on(run, watch, since, "with Redis frozen")
    await _require_back(run, "after it was thawed")


@asynccontextmanager
async def slow(run: Run) -> AsyncIterator[None]:
    """Pauses of Redis, then a slow way to it."""
    most, gauge = 0.0, "hubbub_bus_queued_bytes"
    async with watching(run) as watch:
        await _settle(run)
        since = now()
        await run.cluster.redis("CLIENT", "PAUSE", "4000", "ALL")
        for hub in run.cluster.hubs:
            hub.to_redis.delay(0.3, 0.1)
        try:
            for _ in range(20):
                most = max(most, *[await counted(hub, gauge) for hub in run.cluster.hubs])
                await asyncio.sleep(0.2)
            yield
        finally:
            for hub in run.cluster.hubs:
                hub.to_redis.delay(0.0)
        acks_go_on(run, watch, since, "with Redis slow")
    run.require("what waits for Redis is bounded", most <= _QUEUE_MAX_BYTES, f"{most:.0f} bytes at most")
    await _require_back(run, "when Redis is as fast as before")


@asynccontextmanager
async def wiped(run: Run) -> AsyncIterator[None]:
    """Everything in Redis is gone: who is online is known again after a moment, nobody is told that they went."""
    cluster: Any = run.cluster
    async with AsyncExitStack() as stack:
        watch = await stack.enter_async_context(watching(run))
        await _settle(run)
        since = now()
        online = await _online(cluster)
        run.require("somebody was online", online > 0, f"{online} users")
        await run.cluster.redis("FLUSHALL")

        async def as_many() -> bool:
            return await _online(cluster) >= online

        took_s = await run.until(as_many, within_s=45.0, told="everybody is known to be online again")
        run.note("online again after", f"{took_s:.1f} s, {online} users")
        yield
        acks_go_on(run, watch, since, "after the wipe")
        run.require("nobody was disconnected by it", not watch.closes(since=since), f"{len(watch.closes(since=since))}")


async def _online(cluster: Any) -> int:
    """How many users are known to be online, on all processes together."""
    found: set[bytes] = set()
    for name in await cluster.redis("KEYS", "chaos*online:*"):
        found.update(await cluster.redis("HKEYS", name))
    return len(found)


@asynccontextmanager
async def replaced(run: Run) -> AsyncIterator[None]:
    """A replica takes the place of the server, at the same address: read-only at first, then promoted. What was
    written in between is lost. (A sentinel would only decide when; whoever has one gives the address it holds.)"""
    redis = run.cluster.redises[0]
    cluster: Any = run.cluster
    port: int = cluster.redis_ports[0]
    async with AsyncExitStack() as stack:
        watch = await stack.enter_async_context(watching(run))
        data = stack.enter_context(short_directory())
        second_port = free_port()
        program = await asyncio.to_thread(located, "redis-server")
        service = redis_service(second_port, data, program, cluster.directory / "replica.log")
        replica = ChildServer("replica", service, lambda *_: None)
        stack.push_async_callback(replica.close)
        await replica.start()
        await _at(second_port, "REPLICAOF", "127.0.0.1", str(port))
        await run.until(lambda: _is_in_step(second_port), within_s=15.0, told="the replica is in step")
        await _settle(run)
        since = now()
        await redis.kill()
        await _at(second_port, "REPLICAOF", "NO", "ONE")
        await redis.start()
        await _at(port, "REPLICAOF", "127.0.0.1", str(second_port))
        await run.until(lambda: _is_in_step(port), within_s=15.0, told="the new server has the data of the old one")
        await asyncio.sleep(2.0)  # READONLY for whoever writes
        await _at(port, "REPLICAOF", "NO", "ONE")
        yield
        acks_go_on(run, watch, since, "while Redis is replaced")
    await _require_back(run, "after the failover")


async def _at(port: int, *command: str) -> Any:
    from redis.asyncio import Redis

    async with Redis(port=port, socket_timeout=5.0) as client:
        return await client.execute_command(*command)


async def _is_in_step(port: int) -> bool:
    told = await _at(port, "INFO", "replication")
    return bool(told.get("master_link_status") == "up")


@asynccontextmanager
async def overflowing(run: Run) -> AsyncIterator[None]:
    """A hub that does not read for a while is dropped by Redis, and what was for it with it."""
    hub = run.cluster.hubs[0]
    before = await counted(hub, "hubbub_bus_gaps_total")
    await run.cluster.redis("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
    subscribers = len(await _subscribers(run))
    hub.freeze()
    try:
        junk = "x" * 200_000  # a heartbeat that is none: everybody ignores it
        heartbeats: Any = await run.cluster.redis("PUBSUB", "CHANNELS", "chaos*b:*")
        # Of which the kernel's buffers on the way, and the proxy's, may take some ten MB.
        for _ in range(300):
            for channel in heartbeats:
                await run.cluster.redis("PUBLISH", channel.decode(), junk)
            if len(await _subscribers(run)) < subscribers:
                break
        left = len(await _subscribers(run))
        run.require("Redis has dropped the hub that does not read", left < subscribers, f"{left} of {subscribers} left")
    finally:
        hub.thaw()
        await run.cluster.redis("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")

    async def noticed() -> bool:
        return await counted(hub, "hubbub_bus_gaps_total") > before

    await run.until(noticed, within_s=BACK_WITHIN_S, told="the hub knows that it may have lost something")
    run.note("gaps noticed", await counted(hub, "hubbub_bus_gaps_total") - before)
    yield
    await _require_back(run, "after the overflow")


async def _subscribers(run: Run) -> list[str]:
    listed: Any = await run.cluster.redis("CLIENT", "LIST", "TYPE", "pubsub")
    text = listed.decode() if isinstance(listed, bytes) else str(listed)
    return [line for line in text.splitlines() if line.strip()] if isinstance(listed, bytes | str) else list(listed)


_PACK: Final = msgspec.msgpack.Encoder()
POISON: Final = (
    b"",
    b"junk",
    pickle.dumps({"a": 1}),
    b'{"type": "message.created"}',
    b"[1, 2, 3]",
    b"1:e:",
    b"-1:e::x",
    b"1::h:" + _PACK.encode((99, "pub", b"{}")),
    b"1::h:" + _PACK.encode((1, "no such kind", b"{}")),
    b"1::h:" + _PACK.encode({"version": 1}),
    b"9" * 40 + b":e::" + _PACK.encode((1, "pub", b"{}")),
    b"\xff" * 2_000_000,
)


@asynccontextmanager
async def poisoned(run: Run) -> AsyncIterator[None]:
    """What is none of ours, on every channel that hubs listen to."""
    cluster: Any = run.cluster
    bad = await total(run, "hubbub_bus_bad_total")
    received = await total(run, "hubbub_bus_received_total")
    gaps = await total(run, "hubbub_bus_gaps_total")
    listened: Any = await run.cluster.redis("PUBSUB", "CHANNELS", "chaos*")
    conversations = [name for name in listed(listened) if b"c:conv:" in name][:3]
    control = [name for name in listed(listened) if b"c:conv:" not in name]
    async with watching(run) as watch:
        await _settle(run)
        since = now()
        from redis.asyncio import Redis

        async with Redis(port=cluster.redis_ports[0], socket_timeout=10.0) as client:
            for channel in (*conversations, *control):
                for poison in POISON:
                    await client.publish(channel, poison)
        yield
        acks_go_on(run, watch, since, "among poison")
    counted_bad = await total(run, "hubbub_bus_bad_total") - bad
    run.require("poison is counted", counted_bad >= len(POISON) * len(conversations) > 0, f"{counted_bad:.0f}")
    more = await total(run, "hubbub_bus_received_total") - received
    run.require("what is good is heard as before", more > 0, f"{more:.0f} deliveries")
    lost = await total(run, "hubbub_bus_gaps_total") - gaps
    run.require("the subscription lives on", lost == 0, f"{lost:.0f} gaps")


def listed(names: Any) -> list[bytes]:
    return [name if isinstance(name, bytes) else str(name).encode() for name in names]


FAULTS: Final = (
    Fault("1", "Redis killed and started again", killed, lasts_s=5.0),
    Fault("2", "Redis restarted again and again", restarted_again_and_again, lasts_s=1.0),
    Fault("3", "Redis frozen", frozen, lasts_s=12.0),
    Fault("4", "Redis slow", slow, lasts_s=2.0),
    Fault("5", "Redis wiped", wiped, lasts_s=2.0),
    Fault("6", "Redis replaced by a replica", replaced, lasts_s=3.0),
    Fault("7", "subscriber of Redis overflows", overflowing, lasts_s=2.0),
    Fault("27", "poison on the bus", poisoned, lasts_s=2.0),
)
