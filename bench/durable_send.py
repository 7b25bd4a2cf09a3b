"""Acknowledged durable sends: rate, latency and CPU of hub, mongod and Redis; beside raw inserts in the same rounds.

A complete server (`hubbub dev`). Two people write to each other in each conversation, so that each message has one
receiver. At the highest rate everybody waits for their acknowledgement and sends again; then they send at half of that
rate, whatever comes back. The baseline is `insert_one` with majority through the driver into the same mongod, many at
once; alone, it is the floor of an acknowledgement's latency as well.
"""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient

from bench.load import Client, Sender, Sent, closed_loop, open_loop
from bench.local import local_deployment
from bench.machine import CpuSince
from bench.suite import Figure, Run, Scenario, main
from chat.auth.mint import connection_token
from chat.config import load

COUNTED: Final = ("hub", "mongod", "redis")
"""Whose CPU is the cost of an acknowledgement. The worker's is told apart: what it does is not waited for."""

RAW_AT_ONCE: Final = 200


async def pairs(ready: dict[str, Any], data: Path, count: int) -> list[Sender]:
    """That many connected people, two to a conversation."""
    key = load(data / "config.toml", {}).config.token.hmac_secret_key
    host, port = ready["http"].removeprefix("http://").split(":")

    async def person(name: str) -> Client:
        return await Client.open(host, int(port), connection_token(name, key, now_s=time.time(), ttl_s=3600))

    senders: list[Sender] = []
    for number in range(count // 2):
        one, other = await person(f"one{number}"), await person(f"other{number}")
        members = {"kind": "direct", "members": [f"other{number}"]}
        reply = await one.call("rpc", {"method": "conversation.create", "data": members})
        conversation = reply["rpc"]["data"]["conversation"]["id"]
        senders += [Sender(one, conversation), Sender(other, conversation)]
    return senders


async def raw_inserts(url: str, at_once: int, seconds: float) -> Sent:
    """`insert_one` with the same durability, that many at once."""
    client: Any = AsyncIOMotorClient(url, w="majority", journal=True)
    collection = client["bench"]["raw"]
    sent = Sent()
    started = time.perf_counter()

    async def one() -> None:
        while (before := time.perf_counter()) < started + seconds:
            await collection.insert_one({"c": "x" * 26, "u": "somebody", "x": "x" * 100, "t": 1})
            sent.latencies_ms.append((time.perf_counter() - before) * 1000)

    await asyncio.gather(*(one() for _ in range(at_once)))
    sent.seconds = time.perf_counter() - started
    client.close()
    return sent


async def measure(run: Run) -> None:
    seconds = run.options.seconds
    with local_deployment() as (ready, data):
        run.say(f"connecting {run.options.senders} people")
        senders = await pairs(ready, data, run.options.senders)
        for _ in run.rounds(warm=1):
            await _alone(run, ready["mongodb_url"], senders[0], seconds / 4)
            await _raw(run, ready, seconds / 2)
            per_s = await _together(run, ready, senders, seconds)
            half = await open_loop(senders, per_s / 2, seconds)
            run.add("ack at half the rate, p50", half.percentile_ms(0.5))
            run.add("ack at half the rate, p99", half.percentile_ms(0.99))
            if half.errors:
                raise SystemExit(f"{half.errors} sends failed")


async def _alone(run: Run, url: str, sender: Sender, seconds: float) -> None:
    run.add("a lone insert", (await raw_inserts(url, 1, seconds)).percentile_ms(0.5))
    run.add("a lone send", (await closed_loop([sender], seconds)).percentile_ms(0.5))


async def _raw(run: Run, ready: dict[str, Any], seconds: float) -> None:
    own, mongod = time.process_time(), CpuSince({"mongod": ready["pids"]["mongod"]})
    raw = await raw_inserts(ready["mongodb_url"], RAW_AT_ONCE, seconds)
    own = time.process_time() - own
    run.add("raw inserts", raw.per_s)
    run.add("a raw insert: driver and mongod", (own + mongod.take()["mongod"].both_s) / len(raw.latencies_ms) * 1e6)


async def _together(run: Run, ready: dict[str, Any], senders: list[Sender], seconds: float) -> float:
    own, cpu = time.process_time(), CpuSince(ready["pids"])
    sent = await closed_loop(senders, seconds)
    used = {name: one.both_s for name, one in cpu.take().items()} | {"load": time.process_time() - own}
    if sent.errors:
        raise SystemExit(f"{sent.errors} sends failed")
    acks = len(sent.latencies_ms)
    if sent.pushes < 1.9 * acks:
        raise SystemExit(f"{sent.pushes} deliveries of {acks} messages with two people each")
    run.add("acknowledged sends", sent.per_s)
    run.add("ack, p50", sent.percentile_ms(0.5))
    run.add("ack, p99", sent.percentile_ms(0.99))
    run.add("an ack: hub, mongod, Redis", sum(used[name] for name in COUNTED) / acks * 1e6)
    for name, value in used.items():
        run.add(f"of it {name}" if name in COUNTED else f"beside it {name}", value / acks * 1e6)
    return sent.per_s


SCENARIO = Scenario(
    name="durable_send",
    title="Acknowledged sends",
    about="Two people write to each other in each of many conversations, through a complete server.",
    figures=[
        Figure("acknowledged sends", "/s", better="higher", baseline="raw inserts", goal=8000),
        Figure("raw inserts", "/s", better=""),
        Figure("an ack: hub, mongod, Redis", "µs of CPU", baseline="a raw insert: driver and mongod", goal=150),
        Figure("of it hub", "µs of CPU"),
        Figure("of it mongod", "µs of CPU"),
        Figure("of it redis", "µs of CPU"),
        Figure("beside it worker", "µs of CPU"),
        Figure("beside it load", "µs of CPU", better=""),
        Figure("a raw insert: driver and mongod", "µs of CPU", better=""),
        Figure("ack, p50", "ms"),
        Figure("ack, p99", "ms"),
        Figure("ack at half the rate, p50", "ms"),
        Figure("ack at half the rate, p99", "ms", goal=100),
        Figure("a lone send", "ms", baseline="a lone insert", goal_ratio=1.3, chart="ms, alone"),
        Figure("a lone insert", "ms", better="", chart="ms, alone"),
    ],
    measure=measure,
    full={"senders": 1000, "seconds": 6.0},
    quick={"senders": 400, "seconds": 2.0},
)

if __name__ == "__main__":
    main(SCENARIO)
