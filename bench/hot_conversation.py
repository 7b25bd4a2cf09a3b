"""One conversation written by one hub, by two and by four at once: rate, latency, work per message, races lost.

A complete server (`hubbub dev`) and more hubs on the same database and Redis. Eight members are connected, spread over
as many hubs as are looked at, each with several messages on their way at a time, all to one conversation: each message
goes to all eight. The numbers of hubs take turns within a round.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any, Final

from bench.hubs import Counters, Deployment, deployment
from bench.load import Client, Sender, Sent
from bench.suite import Figure, Run, Scenario, main

MEMBERS: Final = 8
WARM_UP_S: Final = 1.0


class Busy:
    """A member who always has so many messages on their way, until told to stop."""

    def __init__(self, client: Client, conversation: str) -> None:
        self.sent = Sent()
        self._sender = Sender(client, conversation)
        self._sent_at: deque[float] = deque()
        self._idle = asyncio.Event()
        self._stopping = False
        client.on_reply = self._answered

    def start(self, at_a_time: int) -> None:
        for _ in range(at_a_time):
            self._send()

    async def stop(self) -> None:
        """Send no more, and wait for what is on its way."""
        self._stopping = True
        async with asyncio.timeout(30):
            await self._idle.wait()

    def _send(self) -> None:
        self._sent_at.append(perf_counter())
        self._sender.send()

    def _answered(self, reply: bytes) -> None:
        # Answers come in the order of a sender's messages.
        taken_ms = (perf_counter() - self._sent_at.popleft()) * 1000
        if b'"error"' in reply[:24]:
            raise SystemExit(f"a send failed: {reply[:200]!r}")
        self.sent.latencies_ms.append(taken_ms)
        if not self._stopping:
            self._send()
        elif not self._sent_at:
            self._idle.set()


async def measure(run: Run) -> None:
    counts = run.options.hubs
    async with deployment(max(counts)) as whole:
        counters = Counters(whole.ready["mongodb_url"], whole.config.mongodb.database)
        for number in run.rounds(warm=1):
            for count in counts:
                # No hub is favoured by having been there in every round.
                first = number % (len(whole.hubs) - count + 1)
                await _one(run, whole, range(first, first + count), counters)


async def _one(run: Run, whole: Deployment, hubs: Sequence[int], counters: Counters) -> None:
    async with AsyncExitStack() as stack:
        name = secrets.token_hex(4)
        clients = [
            await stack.enter_async_context(whole.client(hubs[number % len(hubs)], f"{name}-{number}"))
            for number in range(MEMBERS)
        ]
        conversation = await whole.group(clients[0], [f"{name}-{number}" for number in range(1, MEMBERS)])
        members = [Busy(client, conversation) for client in clients]
        for member in members:
            member.start(run.options.at_a_time)
        await asyncio.sleep(WARM_UP_S)
        counters.reset()
        watching = await whole.watch(hubs)
        pushes = sum(client.pushes for client in clients)
        for member in members:
            member.sent.latencies_ms.clear()
        await asyncio.sleep(run.options.seconds)
        sent = Sent(latencies_ms=[taken for member in members for taken in member.sent.latencies_ms])
        seen = await watching.take()
        asked = counters.since()
        pushes = sum(client.pushes for client in clients) - pushes
        await asyncio.gather(*(member.stop() for member in members))
    _add(run, len(hubs), sent, seen, asked)
    if pushes < (MEMBERS - 0.5) * len(sent.latencies_ms):
        raise SystemExit(f"{pushes} deliveries of {len(sent.latencies_ms)} messages to {MEMBERS} members each")


def _add(run: Run, count: int, sent: Sent, seen: dict[str, float], asked: dict[str, Any]) -> None:
    acks = len(sent.latencies_ms)
    if count == min(run.options.hubs):
        run.add("acknowledged, fewest hubs", acks / seen["seconds"])
    run.add("acknowledged", acks / seen["seconds"], at=count)
    run.add("ack, p50", sent.percentile_ms(0.5), at=count)
    run.add("ack, p99", sent.percentile_ms(0.99), at=count)
    run.add("an ack: hubs, mongod, Redis", (seen["hubs"] + seen["mongod"] + seen["redis"]) / acks * 1e6, at=count)
    for name in ("hubs", "mongod", "redis"):
        run.add(f"of it {name}", seen[name] / acks * 1e6, at=count)
    run.add("beside it load", seen["load"] / acks * 1e6, at=count)
    run.add("inserts", asked.get("insert commands", 0) / acks, at=count)
    run.add("finds", asked.get("find commands", 0) / acks, at=count)
    run.add("races lost", seen["hubbub_log_lost_races_total"] / acks, at=count)


SCENARIO = Scenario(
    name="hot_conversation",
    title="One conversation, several processes",
    about="Eight members write to one conversation all the time, connected to one hub, to two, to four.",
    figures=[
        Figure("acknowledged", "/s", better="higher", baseline="acknowledged, fewest hubs", goal_ratio=0.7),
        Figure("acknowledged, fewest hubs", "/s", better=""),
        Figure("ack, p50", "ms"),
        Figure("ack, p99", "ms"),
        Figure("an ack: hubs, mongod, Redis", "µs of CPU"),
        Figure("of it hubs", "µs of CPU"),
        Figure("of it mongod", "µs of CPU"),
        Figure("of it redis", "µs of CPU"),
        Figure("beside it load", "µs of CPU", better=""),
        Figure("inserts", "commands an ack"),
        Figure("finds", "commands an ack"),
        Figure("races lost", "commands an ack"),
    ],
    measure=measure,
    sizes="hubs",
    full={"hubs": (1, 2, 4), "at_a_time": 4, "seconds": 4.0},
    quick={"seconds": 2.0},
)

if __name__ == "__main__":
    main(SCENARIO)
