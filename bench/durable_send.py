"""Acknowledged durable sends: rate, latency and CPU of hub, mongod and Redis; beside raw inserts in the same run.

Starts a complete server (`hubbub dev`). Every sender has a conversation with one receiver, and waits for
each acknowledgement before it sends again. The baseline is `insert_one` with majority through the driver, as many at
once, into the same mongod; alone, it is also the floor of an acknowledgement's latency.

    python -m bench.durable_send [--senders 200] [--seconds 5] [--rounds 3] [--json FILE]
"""

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import Final

from motor.motor_asyncio import AsyncIOMotorClient

from bench.local import run
from bench.sender import Connection, Sent, cpu_s, send_for
from chat.auth.mint import connection_token
from chat.config import load

MEASURED: Final = ("hub", "mongod", "redis")


async def pairs(ready: dict, token, count: int) -> tuple[list[tuple[Connection, str]], list[Connection]]:
    """Senders with their conversations, and the receivers."""
    host, port = ready["http"].removeprefix("http://").split(":")
    senders, receivers = [], []
    for number in range(count):
        receiver = await Connection.open(host, int(port), token(f"to{number}"))
        sender = await Connection.open(host, int(port), token(f"from{number}"))
        data = {"kind": "direct", "members": [f"to{number}"]}
        reply = await sender.call("rpc", {"method": "conversation.create", "data": data})
        senders.append((sender, reply["rpc"]["data"]["conversation"]["id"]))
        receivers.append(receiver)
    return senders, receivers


async def raw_inserts(url: str, at_once: int, seconds: float) -> Sent:
    """`insert_one` with the same durability, that many at once."""
    client = AsyncIOMotorClient(url, w="majority", journal=True)
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


async def measure(ready: dict, data: Path, options: argparse.Namespace) -> dict:
    config = load(data / "config.toml", {}).config
    key = config.token.hmac_secret_key
    senders, receivers = await pairs(
        ready, lambda user: connection_token(user, key, now_s=time.time(), ttl_s=3600), options.senders
    )
    draining = [asyncio.create_task(receiver.drain_forever()) for receiver in receivers]
    rounds: list[dict] = []
    for number in range(options.rounds):
        lone_raw = await raw_inserts(ready["mongodb_url"], 1, options.seconds / 3)
        lone = await send_for(senders[:1], options.seconds / 3)
        raw = await raw_inserts(ready["mongodb_url"], options.senders, options.seconds)
        before = {name: cpu_s(ready["pids"][name]) for name in MEASURED}
        sent = await send_for(senders, options.seconds)
        used = {name: cpu_s(ready["pids"][name]) - before[name] for name in MEASURED}
        rounds.append(
            {
                "lone_insert_p50_ms": lone_raw.percentile_ms(0.5),
                "lone_ack_p50_ms": lone.percentile_ms(0.5),
                "raw_inserts_per_s": raw.per_s,
                "acks_per_s": sent.per_s,
                "ack_p50_ms": sent.percentile_ms(0.5),
                "ack_p99_ms": sent.percentile_ms(0.99),
                "errors": sent.errors,
                "cpu_us_per_ack": {name: value / len(sent.latencies_ms) * 1e6 for name, value in used.items()},
            }
        )
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    for task in draining:
        task.cancel()
    await asyncio.wait(draining)
    return {"senders": options.senders, "rounds": rounds}


def report(result: dict) -> None:
    rounds = result["rounds"]

    def median(name: str) -> float:
        return statistics.median(one[name] for one in rounds)

    cpu = {
        name: statistics.median(one["cpu_us_per_ack"][name] for one in rounds) for name in rounds[0]["cpu_us_per_ack"]
    }
    print(f"{result['senders']} senders with one receiver each, median of {len(rounds)} rounds")
    print(
        f"acknowledged sends      {median('acks_per_s'):>10.0f} /s   p50 {median('ack_p50_ms'):.1f} ms   "
        f"p99 {median('ack_p99_ms'):.1f} ms   errors {sum(one['errors'] for one in rounds)}"
    )
    print(
        f"raw majority inserts    {median('raw_inserts_per_s'):>10.0f} /s   "
        f"ratio {median('acks_per_s') / median('raw_inserts_per_s'):.2f}"
    )
    print(
        f"CPU per acknowledgement {sum(cpu.values()):>10.0f} µs   "
        + "   ".join(f"{name} {value:.0f}" for name, value in cpu.items())
    )
    print(
        f"a lone send             {median('lone_ack_p50_ms'):>10.2f} ms   "
        f"{median('lone_ack_p50_ms') / median('lone_insert_p50_ms'):.2f} × one majority insert "
        f"({median('lone_insert_p50_ms'):.2f} ms)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--senders", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    run(parser, measure, report)


if __name__ == "__main__":
    main()
