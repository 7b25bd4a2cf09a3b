"""Work per delivery at a fixed offered load with one hub, two and four, and what crosses between them.

A complete server (`hubbub dev`) and more hubs on the same database and Redis. Conversations of two and of ten, whose
members are spread over so many hubs, all of them connected; messages are sent at a fixed rate, by the members in turns,
whatever comes back. Beside it, conversations whose members are all on one hub, four of them: nothing may cross. CPU is
what the processes used, less what they use when nothing happens.

From the conversations of two on one and on two hubs, and of ten on one, follow the costs of a send, of a delivery and
of hearing one from another hub; what they predict for all others stands beside what was measured
(`bench/capacity.py` has the arithmetic).
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from bench.capacity import Hub, Layout, UnitCosts
from bench.hearing import heard_us
from bench.hubs import Deployment, deployment
from bench.load import Sender, open_loop
from bench.machine import cpu
from bench.suite import Figure, Run, Scenario, main
from storage.store import open_store

HUBS: Final = (1, 2, 4)
FEW: Final = 2
MANY: Final = 10
POLLED: Final = 1000


@dataclass(frozen=True, slots=True)
class Scene:
    """Conversations of `members` each, whose members are spread over `hubs`, or are together on one of four (0)."""

    members: int
    hubs: int

    def hub_of(self, conversation: int, member: int) -> int:
        return member % self.hubs if self.hubs else conversation % max(HUBS)

    @property
    def used(self) -> range:
        return range(self.hubs or max(HUBS))

    @property
    def layout(self) -> Layout:
        return Layout(self.members, min(self.members, self.hubs or 1))


SCENES: Final = (*(Scene(members, hubs) for members in (FEW, MANY) for hubs in HUBS), Scene(MANY, 0))


@dataclass(frozen=True, slots=True)
class Seen:
    """What one message came to: CPU in µs (`redis` with what it takes when idle), and counts."""

    hubs: float
    mongod: float
    redis: float
    deliveries: float
    crossed: float
    worker: float
    sent_bytes: float
    bus_bytes: float
    acks_p99_ms: float


async def measure(run: Run) -> None:
    async with deployment(max(HUBS)) as whole, AsyncExitStack() as stack:
        run.say("connecting")
        senders = {scene: await _people(stack, whole, scene, run.options.people) for scene in SCENES}
        for _ in run.rounds(warm=1):
            idle = await _idle(whole, run.options.seconds)
            run.add("an idle hub", idle["hubs"] / max(HUBS) * 1000)
            await _poll(run, whole)
            run.add("taking it from the bus", await heard_us(whole.ready["redis_url"], run.options.heard))
            seen = {scene: await _one(run, whole, scene, senders[scene], idle) for scene in SCENES}
            _costs(run, seen)


async def _people(stack: AsyncExitStack, whole: Deployment, scene: Scene, people: int) -> list[Sender]:
    """Everybody can send. Those who follow each other in the list are in different conversations."""
    conversations = max(people // scene.members, max(HUBS))
    name = secrets.token_hex(4)
    by_member: list[list[Sender]] = [[] for _ in range(scene.members)]
    for conversation in range(conversations):
        users = [f"{name}-{conversation}-{member}" for member in range(scene.members)]
        clients = [
            await stack.enter_async_context(whole.client(scene.hub_of(conversation, member), user))
            for member, user in enumerate(users)
        ]
        made = await whole.group(clients[0], users[1:])
        for member, client in enumerate(clients):
            by_member[member].append(Sender(client, made))
    return [sender for senders in by_member for sender in senders]


async def _idle(whole: Deployment, seconds: float) -> Counter[str]:
    """What is used in a second when nothing happens."""
    await asyncio.sleep(0.5)
    watching = await whole.watch(range(max(HUBS)))
    await asyncio.sleep(seconds)
    used = await watching.take()
    return Counter({name: value / used["seconds"] for name, value in used.items()})


async def _one(run: Run, whole: Deployment, scene: Scene, senders: Sequence[Sender], idle: Counter[str]) -> Seen:
    per_s, seconds = run.options.per_s, run.options.seconds
    # Standings are looked up, and the ends of logs are known, before anything is counted.
    await open_loop(senders, per_s, len(senders) / per_s)
    watching = await whole.watch(scene.used)
    sent = await open_loop(senders, per_s, seconds)
    used = await watching.take()
    messages = len(sent.latencies_ms)
    if sent.errors:
        raise SystemExit(f"{sent.errors} sends failed")

    def cpu_us(name: str, share: float = 1.0) -> float:
        return (used[name] - idle[name] * share * used["seconds"]) / messages * 1e6

    seen = Seen(
        hubs=cpu_us("hubs", len(scene.used) / max(HUBS)),
        mongod=cpu_us("mongod"),
        redis=cpu_us("redis"),
        deliveries=used["hubbub_deliveries_total"] / messages,
        crossed=used["hubbub_bus_received_total"] / messages,
        worker=cpu_us("worker"),
        sent_bytes=used["hubbub_sent_bytes_total"] / used["hubbub_deliveries_total"],
        bus_bytes=used["redis_sent_bytes"] / messages,
        acks_p99_ms=sent.percentile_ms(0.99),
    )
    if seen.deliveries < scene.members - 0.1:
        raise SystemExit(f"{seen.deliveries:.2f} deliveries a message to {scene.members} members")
    _add(run, scene, seen)
    return seen


def _add(run: Run, scene: Scene, seen: Seen) -> None:
    if not scene.hubs:
        run.add("crossing, all members on one of four hubs", seen.crossed)
        return
    size, at = ("ten" if scene.members == MANY else "two"), scene.hubs
    if at == HUBS[0]:
        run.add(f"a delivery, {size} members on one hub", seen.hubs / scene.members)
    run.add(f"a delivery, {size} members", seen.hubs / scene.members, at=at)
    run.add(f"crossing, {size} members", seen.crossed, at=at)
    run.add(f"Redis, {size} members", seen.redis, at=at)
    run.add(f"mongod, {size} members", seen.mongod, at=at)
    run.add(f"ack, p99, {size} members", seen.acks_p99_ms, at=at)
    if scene == Scene(MANY, max(HUBS)):
        run.add("worker, a message", seen.worker)
        run.add("WebSocket, a delivery", seen.sent_bytes)
        run.add("Redis, a copy", seen.bus_bytes / max(HUBS))


def _costs(run: Run, seen: dict[Scene, Seen]) -> None:
    two, two_apart, ten = seen[Scene(FEW, 1)], seen[Scene(FEW, 2)], seen[Scene(MANY, 1)]
    deliver_us = (ten.hubs - two.hubs) / (MANY - FEW)
    costs = UnitCosts(
        send_us=two.hubs - FEW * deliver_us,
        deliver_us=deliver_us,
        hear_us=two_apart.hubs - two.hubs,
        redis_publish_us=2 * two.redis - two_apart.redis,
        redis_copy_us=two_apart.redis - two.redis,
    )
    run.add("a send", costs.send_us)
    run.add("a delivery", costs.deliver_us)
    run.add("hearing it on one more hub", costs.hear_us)
    run.add("Redis: taking a message", costs.redis_publish_us)
    run.add("Redis: a copy of it", costs.redis_copy_us)
    for scene in SCENES:
        if scene.hubs:
            size = "ten" if scene.members == MANY else "two"
            predicted = Hub.message_us(costs, scene.layout) / scene.members
            run.add(f"predicted: a delivery, {size} members", predicted, at=scene.hubs)


async def _poll(run: Run, whole: Deployment) -> None:
    """What it costs to be told of a conversation that moved: whoever asks, and mongod."""
    url, database = whole.ready["mongodb_url"], whole.config.mongodb.database
    pid = whole.ready["pids"]["mongod"]
    async with open_store(url, database) as store:
        await store.conversations.changed_since(0, limit=POLLED)
        own, mongod, rows = time.process_time(), cpu(pid).both_s, 0
        for _ in range(run.options.polls):
            rows += len(await store.conversations.changed_since(0, limit=POLLED))
        run.add("polling: a conversation that moved", (time.process_time() - own) / rows * 1e6)
        run.add("polling: mongod", (cpu(pid).both_s - mongod) / rows * 1e6)


SCENARIO = Scenario(
    name="nodes",
    title="Nodes",
    about="Messages at a fixed rate in conversations of two and of ten members, connected to one hub, to two, to four.",
    figures=[
        *(
            figure
            for size in ("ten", "two")
            for figure in (
                Figure(f"a delivery, {size} members", "µs of CPU", baseline=f"a delivery, {size} members on one hub"),
                Figure(f"predicted: a delivery, {size} members", "µs of CPU", better=""),
                Figure(f"a delivery, {size} members on one hub", "µs of CPU", better=""),
                Figure(f"crossing, {size} members", "deliveries between hubs a message"),
                Figure(f"Redis, {size} members", "µs of Redis a message"),
                Figure(f"mongod, {size} members", "µs of mongod a message"),
                Figure(f"ack, p99, {size} members", "ms"),
            )
        ),
        Figure("crossing, all members on one of four hubs", "deliveries between hubs a message", goal=0),
        Figure("a send", "µs of CPU", chart="µs, by part"),
        Figure("a delivery", "µs of CPU", chart="µs, by part"),
        Figure("hearing it on one more hub", "µs of CPU", chart="µs, by part"),
        Figure("Redis: taking a message", "µs of CPU", chart="µs, by part"),
        Figure("Redis: a copy of it", "µs of CPU", chart="µs, by part"),
        Figure("polling: a conversation that moved", "µs of CPU", chart="µs, by part"),
        Figure("polling: mongod", "µs of CPU", chart="µs, by part"),
        Figure("taking it from the bus", "µs of CPU", chart="µs, by part"),
        Figure("worker, a message", "µs of CPU", chart="µs, by part"),
        Figure("an idle hub", "ms of CPU a second"),
        Figure("WebSocket, a delivery", "bytes"),
        Figure("Redis, a copy", "bytes"),
    ],
    measure=measure,
    sizes="hubs",
    full={"people": 120, "per_s": 200, "seconds": 3.0, "polls": 20, "heard": 20_000},
    quick={"people": 60, "seconds": 2.0, "polls": 5},
)

if __name__ == "__main__":
    main(SCENARIO)
