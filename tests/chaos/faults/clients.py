"""Clients that vanish, that do not read, that come all at once, whose acks are lost: F19 to F23, F26."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp

from bench.herd import Herd
from chaos import machine
from chaos.doors import opened
from chaos.fault import Fault, Hub, Run, Topology, Traffic
from chaos.faults.looking import (
    ANSWER_S,
    BACK_WITHIN_S,
    counted,
    now,
    percentile,
    status_of,
    watching,
)
from chaos.faults.someone import server_api, someone
from support.raw_client import raw_client, vanish

HALF_OPEN: Final = 50
FOUND_WITHIN_S: Final = 5.0 + 3.0 + 5.0
"""The cluster's ping interval and pong time-out, and a moment."""


@asynccontextmanager
async def half_open(run: Run) -> AsyncIterator[None]:
    """Fifty clients vanish from the net without a word."""
    cluster: Any = run.cluster
    hub = run.cluster.hubs[0]
    server: Any = hub
    name = f"ghost-{secrets.token_hex(3)}"
    before, files = await counted(hub, "hubbub_connections"), server.descriptors()
    async with opened("ghosts", ("127.0.0.1", hub.port)) as way, someone(run) as friend:
        await friend.group(hub, name)  # else they are strangers, who may not know of each other
        url = f"ws://127.0.0.1:{way.port}/connection/websocket"
        raws = [await raw_client(url) for _ in range(HALF_OPEN)]
        for raw in raws:
            await asyncio.get_running_loop().sock_sendall(
                raw, frame({"connect": {"token": cluster.token(name)}, "id": 1})
            )

        async def connected() -> bool:
            return await counted(hub, "hubbub_connections") >= before + HALF_OPEN / 2 and await _online(
                friend, hub, name
            )

        await run.until(connected, within_s=10, told="they are connected")
        way.link.set(Traffic.BLACKHOLE)
        started = time.monotonic()
        for raw in raws:
            vanish(raw)

        async def gone() -> bool:
            return server.descriptors() <= files + 10

        await run.until(gone, within_s=FOUND_WITHIN_S, told="their sockets are closed")
        run.note("found after", f"{time.monotonic() - started:.1f} s")

        async def offline() -> bool:
            return not await _online(friend, hub, name)

        took_s = await run.until(offline, within_s=25.0, told="their user is offline")
        run.note("offline after", f"{time.monotonic() - started:.1f} s, {took_s:.1f} s of it grace")
        yield


async def _online(friend: Any, hub: Hub, name: str) -> bool:
    answer = await friend.rpc(hub, "presence.get", users=[name])
    return answer.ok and any(one.get("online") for one in answer.body["presence"])


def frame(command: object) -> bytes:
    """A masked text frame (the mask is zero)."""
    import json

    data = json.dumps(command).encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    return b"\x81" + size + bytes(4) + data


@asynccontextmanager
async def servers_half_open(run: Run) -> AsyncIterator[None]:
    """The net between a hub and its servers swallows everything, without a word to either."""
    hub = run.cluster.hubs[0]
    async with watching(run) as watch:
        for name, link in (("Redis", hub.to_redis), ("MongoDB", hub.to_mongodb)):
            link.set(Traffic.BLACKHOLE)
            since = now()
            await asyncio.sleep(6.0)
            begun = {
                (one["device"], one["key"], one["attempt"]): one["t"] for one in watch.sends("invoke", hub=hub.name)
            }
            took = [
                (one["t"] - begun[key]) / 1e9
                for kind in ("ok", "info")
                for one in watch.sends(kind, since=since, hub=hub.name)
                if (key := (one["device"], one["key"], one["attempt"])) in begun
            ]
            most = max(took, default=0.0)
            run.note(f"answers of {hub.name} without {name}", f"{len(took)}, at most {most:.1f} s")
            run.require(
                f"{hub.name} answers in time without {name}", most <= (ANSWER_S + 1.0) * run.patience(), f"{most:.1f} s"
            )
            link.set(Traffic.PASS)
            back = now()
            await run.until(
                lambda back=back: any(watch.sends("ok", since=back, hub=hub.name)),
                within_s=BACK_WITHIN_S,
                told=f"{hub.name} acknowledges again ({name})",
            )
            await run.until(lambda: status_of(hub, 200), within_s=BACK_WITHIN_S, told=f"{hub.name} is ready ({name})")
        yield


STUCK: Final = 10
LARGE_BYTES: Final = 8_000
LARGE: Final = 700


@asynccontextmanager
async def stuck_readers(run: Run) -> AsyncIterator[None]:
    """Ten members who do not read any more of a conversation in which much is said."""
    cluster: Any = run.cluster
    hub = run.cluster.hubs[0]
    server: Any = hub
    names = [f"stuck-{secrets.token_hex(3)}" for _ in range(STUCK)]
    slow = 'hubbub_disconnects_total{code="3008"}'
    async with watching(run) as watch, AsyncExitStack() as stack:
        person = await stack.enter_async_context(someone(run))
        conversation = await person.group(hub, *names)
        await asyncio.sleep(3.0)
        closed = (await hub.metrics()).get(slow, 0.0)
        resident, sockets = server.resident_bytes(), _socket_pages()
        for name in names:
            raw = await raw_client(f"ws://127.0.0.1:{hub.port}/connection/websocket")
            stack.callback(vanish, raw)
            await asyncio.get_running_loop().sock_sendall(
                raw, frame({"id": 1, "connect": {"token": cluster.token(name)}})
            )
        await asyncio.sleep(1.0)
        since = now()
        most, pages = resident, sockets
        for start in range(0, LARGE, 10):
            said = (
                {"sender": person.name, "idempotency_key": f"large-{number}", "text": "x" * LARGE_BYTES}
                for number in range(start, start + 10)
            )
            await asyncio.gather(
                *(server_api(run, hub, "publish", channel=f"conv:{conversation}", data=data) for data in said)
            )
            most, pages = max(most, server.resident_bytes()), max(pages, _socket_pages())

        async def all_closed() -> bool:
            return (await hub.metrics()).get(slow, 0.0) >= closed + STUCK

        took_s = await run.until(all_closed, within_s=30.0, told="they are closed as too slow (3008)")
        run.note("closed after the flood", f"{took_s:.1f} s")
        yield
        before, during = watch.latencies_s(until=since), watch.latencies_s(since=since)
        was, took = percentile(before, 0.99), percentile(during, 0.99)
        run.note("ack p99 of the others before, during", f"{was * 1000:.0f} ms, {took * 1000:.0f} ms")
        run.require(
            "others are served as before", took <= max(2 * was, 0.5) * run.patience(), f"p99 {took * 1000:.0f} ms"
        )
        run.note("resident before, at most", f"{resident >> 20} MiB, {most >> 20} MiB")
        run.note("kernel's socket pages before, at most", f"{sockets}, {pages}")
        run.require(
            "memory is bounded", most - resident < STUCK * (4 << 20) + (64 << 20), f"{(most - resident) >> 20} MiB"
        )


def _socket_pages() -> int:
    """Pages of memory that TCP holds on the whole machine."""
    with open("/proc/net/sockstat") as file:  # noqa: PTH123 - a file of the kernel
        line = next(line for line in file if line.startswith("TCP:"))
    return int(line.split()[-1])


CROWD: Final = 2_000
CROWD_USERS: Final = 200


@asynccontextmanager
async def storm(run: Run) -> AsyncIterator[None]:
    """Two thousand clients lose their hub at once and resume on the other one."""
    cluster: Any = run.cluster
    lost, other = run.cluster.hubs[0], run.cluster.hubs[-1]
    names = [f"crowd-{secrets.token_hex(4)}" for _ in range(CROWD_USERS)]
    async with watching(run) as watch, someone(run) as person:
        conversation = await person.group(other, *names[:90])
        for start in range(90, CROWD_USERS, 50):
            added = await person.rpc(
                other, "conversation.add_members", conversation=conversation, members=names[start : start + 50]
            )
            run.require("members were added", added.ok, f"{added.status} {added.body}")
        head = (await person.say(other, conversation, "first")).body["message"]["offset"]
        channel = f"conv:{conversation}"
        herd = Herd("127.0.0.1", lost.port)
        herd.add([cluster.token(names[number % CROWD_USERS]) for number in range(CROWD)], [[channel]] * CROWD)
        herd.coming_back = True
        herd.connect_all(over_s=6.0)
        await run.until(lambda: herd.online == CROWD, within_s=60, told="the crowd is connected")
        herd.target = {channel: head}
        await lost.kill()
        herd.port = other.port
        since = now()
        for number in range(3):
            head = (await person.say(other, conversation, f"missed-{number}")).body["message"]["offset"]
        herd.target = {channel: head}
        queries = await _queries(run)
        herd.connect_all(over_s=0.1)
        try:
            took_s = await run.until(lambda: herd.done.is_set(), within_s=60.0, told="everybody has caught up")
        finally:
            herd.coming_back = False
        asked = await _queries(run) - queries
        during = watch.latencies_s(since=since, hub=other.name)
        run.note("all caught up after", f"{took_s:.1f} s")
        run.note("what happened to them", dict(herd.events))
        run.note("queries of MongoDB meanwhile", f"{asked:.0f} for {CROWD} clients")
        run.note("ack p99 of those who were there", f"{percentile(during, 0.99) * 1000:.0f} ms ({len(during)} acks)")
        run.require("nothing comes out of order", not herd.events["out of order"], f"{herd.events['out of order']}")
        run.require("reads are shared", asked < CROWD * 2, f"{asked:.0f} queries for {CROWD} clients")
        for member in herd.members:
            member.close()
        await lost.start()
        yield


async def _queries(run: Run) -> float:
    counters: Any = (await run.cluster.mongo({"serverStatus": 1}))["opcounters"]
    return float(counters["query"]) + float(counters["command"])


WAVE: Final = 300


@asynccontextmanager
async def wave(run: Run) -> AsyncIterator[None]:
    """Clients without any jitter come at the same moment: those who are refused are told different times."""
    hub = run.cluster.hubs[0]
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    told: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def come() -> None:
            url = f"http://127.0.0.1:{hub.port}/connection/websocket"
            try:
                async with session.get(url, headers=headers) as response:
                    statuses[response.status] += 1
                    if response.status == 503:
                        told[response.headers.get("Retry-After", "")] += 1
            except aiohttp.ClientError:
                statuses[0] += 1

        async with asyncio.timeout(20):
            await asyncio.gather(*(come() for _ in range(WAVE)))
    run.note("answers", dict(statuses))
    run.note("told to come again after (s)", dict(sorted(told.items())))
    refused = sum(told.values())
    run.require("some are refused before the upgrade", refused > WAVE / 4, f"{refused} of {WAVE}")
    run.require("all refused are told when to come", "" not in told, f"{dict(told)}")
    share = max(told.values(), default=0) / max(refused, 1)
    run.require("not all at the same time", len(told) >= 3 and share < 0.6, f"{len(told)} times, {share:.0%} at one")
    yield


@asynccontextmanager
async def acks_lost(run: Run) -> AsyncIterator[None]:
    """What a hub answers does not arrive; the client asks another hub at once."""
    hubs = run.cluster.hubs
    async with watching(run) as watch, someone(run) as person:
        lost = 0
        for number in range(4):
            hub = hubs[number % len(hubs)]
            hub.clients.set(Traffic.BLACKHOLE, to_server=False)
            await asyncio.sleep(0.25)
            hub.clients.reset()
            hub.clients.set(Traffic.PASS)
            lost += 1
            await asyncio.sleep(1.5)
        conversation = await person.group(hubs[0])
        for number in range(5):
            # The race of a send with its own repeat.
            answers = await asyncio.gather(*(person.say(hub, conversation, f"k{number}") for hub in (*hubs, *hubs)))
            ids = {answer.body["message"]["id"] if answer.ok else f"{answer.status}" for answer in answers}
            run.require("a send and its repeat elsewhere are one", len(ids) == 1, f"{ids}")
        yield
        repeats = [one for one in watch.sends("ok") if one.get("duplicate")]
        run.note("acks lost, repeats answered with the first", f"{lost} times, {len(repeats)}")
        run.require("some repeats found what was there", len(repeats) > 0, f"{len(repeats)}")


FAULTS: Final = (
    Fault("19", "clients that vanish", half_open, lasts_s=1.0),
    Fault("20", "servers that vanish", servers_half_open, lasts_s=1.0),
    Fault("21", "readers that do not read", stuck_readers, lasts_s=1.0),
    Fault("22", "two thousand clients reconnect", storm, lasts_s=1.0, skipped=machine.no_crowd(CROWD)),
    Fault(
        "23",
        "clients that come in one wave",
        wave,
        topology=Topology(settings={"admission.upgrades_per_second": 25, "admission.burst": 25}),
        lasts_s=1.0,
    ),
    Fault("26", "acks that do not arrive", acks_lost, lasts_s=1.0),
)
