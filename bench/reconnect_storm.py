"""All clients of a hub lose it at once (SIGKILL) and resume on another one, or on the same one started again.

Starts a complete server (`hubbub dev`) and a second hub on the same database and Redis. The clients are on the second
one, each in some conversations; that hub is killed, messages are sent to every conversation, then all clients come at
once, with the backoff of an SDK, and resume. Some others are on the first hub all the time, sending: their latency is
compared before and during the storm. MongoDB's own counters tell what it was asked.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from uuid import uuid4

import aiohttp

from bench.herd import Herd
from bench.hubs import Counters, free_port, hub, until_ready
from bench.local import local_deployment
from bench.sender import Connection, cpu_s
from bench.suite import Figure, Run, Scenario, main
from chat.auth.mint import connection_token
from chat.config import load

AT_ONCE: Final = 16
"""Server API calls on their way at a time, while the scene is set."""

GIVE_UP_S: Final = 300.0


class Api:
    """The server API, so many calls at a time."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, user: str, method: str, **params: Any) -> Any:
        async with self._turn:
            asked = {"user": user, "method": method, "params": params}
            async with self._session.post("/api/rpc", json=asked) as answer:
                body = await answer.json()
        if "error" in body:
            raise SystemExit(f"{method}: {body['error']}")
        return body["result"]["data"]


async def make_groups(api: Api, users: Sequence[str], each: int, members: int) -> dict[str, list[str]]:
    """Groups of so many members, so that every user is in `each` of them; the members of each group."""
    groups: dict[str, list[str]] = {}

    async def make(chosen: list[str]) -> None:
        made = await api(
            chosen[0], "conversation.create", kind="group", members=chosen[1:], idempotency_key=str(uuid4())
        )
        groups[made["conversation"]["id"]] = chosen
        if len(groups) % 500 == 0:
            print(f"{len(groups)} conversations", file=sys.stderr, flush=True)

    wanted = []
    for turn in range(each):
        # Other neighbours in every turn.
        order = list(users)
        random.Random(turn).shuffle(order)
        wanted += [order[start : start + members] for start in range(0, len(order), members)]
    await asyncio.gather(*(make(chosen) for chosen in wanted))
    return groups


async def say(api: Api, groups: dict[str, list[str]], times: int) -> dict[str, int]:
    """So many messages to each; the head of each."""
    heads: dict[str, int] = {}

    async def one(conversation: str, by: str) -> None:
        for _ in range(times):
            sent = await api(
                by, "message.send", conversation=conversation, idempotency_key=str(uuid4()), text="x" * 100
            )
            heads[f"conv:{conversation}"] = sent["message"]["offset"]

    await asyncio.gather(*(one(conversation, members[0]) for conversation, members in groups.items()))
    return heads


class Witnesses:
    """Clients that are connected all the time: how long a ping and a send take them, in ms."""

    def __init__(self) -> None:
        self.ping_ms: list[float] = []
        self.send_ms: list[float] = []
        self.errors = 0

    def take(self) -> dict[str, Any]:
        """What was measured since the last time."""
        taken = {"ping": summary(self.ping_ms), "send": summary(self.send_ms), "errors": self.errors}
        self.ping_ms, self.send_ms, self.errors = [], [], 0
        return taken

    async def watch(self, connection: Connection, conversation: str) -> None:
        while True:
            before = time.perf_counter()
            await connection.call("ping", {})
            self.ping_ms.append((time.perf_counter() - before) * 1000)
            data = {"conversation": conversation, "idempotency_key": str(uuid4()), "text": "x" * 100}
            before = time.perf_counter()
            reply = await connection.call("rpc", {"method": "message.send", "data": data})
            self.errors += "error" in reply
            self.send_ms.append((time.perf_counter() - before) * 1000)
            await asyncio.sleep(0.2)


def summary(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    at = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in SHARES.items()}
    return {"count": len(ordered), **at, "max": ordered[-1]}


SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def refused_by_hub(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        if line.startswith("hubbub_connections_refused_total{"):
            reason, value = line.split('"')[1], float(line.rpartition(" ")[2])
            if value:
                found[reason] = value
    return found


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measured(ready: dict[str, Any], data: Path, options: SimpleNamespace) -> dict[str, Any]:
    config = load(data / "config.toml", {}).config
    key = config.token.hmac_secret_key

    def token(user: str) -> str:
        return connection_token(user, key, now_s=time.time(), ttl_s=7200)

    first = int(ready["http"].rpartition(":")[2])
    second = free_port()
    timeout = aiohttp.ClientTimeout(total=120)
    headers = {"X-API-Key": config.api.key.reveal()}
    async with aiohttp.ClientSession(ready["http"], headers=headers, timeout=timeout) as http:
        api = Api(http)
        users = [f"user{number}" for number in range(options.clients)]
        print("making conversations", file=sys.stderr, flush=True)
        groups = await make_groups(api, users, options.conversations, options.members)
        heads = await say(api, groups, 1)
        mine: dict[str, list[str]] = {user: [] for user in users}
        for conversation, members in groups.items():
            for user in members:
                mine[user].append(f"conv:{conversation}")
        witnesses = Witnesses()
        watching = await watched(api, witnesses, first, token, options.witnesses)
        counters = Counters(ready["mongodb_url"], config.mongodb.database)
        herd = Herd("127.0.0.1", second, coming_back=True)
        herd.add([token(user) for user in users], [mine[user] for user in users])
        herd.target = heads
        with hub(ready, data, second) as killed:
            await until_ready(second)
            print("connecting", file=sys.stderr, flush=True)
            herd.connect_all(over_s=options.clients / 400)
            async with asyncio.timeout(GIVE_UP_S):
                await herd.done.wait()
            filled = dict(herd.events)
            herd.events.clear()
            witnesses.take()
            await asyncio.sleep(options.calm)
            calm = witnesses.take()
            # Nobody comes back before all have something to catch up on.
            herd.coming_back = False
            killed.kill()
            while herd.online:
                await asyncio.sleep(0.05)
        herd.target = await say(api, groups, options.missed)
        await asyncio.sleep(options.settle)
        witnesses.take()
        if options.restart:
            with hub(ready, data, second) as again:
                await until_ready(second)
                storm = await one_storm(herd, counters, again.pid, second)
        else:
            storm = await one_storm(herd, counters, ready["pids"]["hub"], first)
        during = witnesses.take()
        for task in watching:
            task.cancel()
        await asyncio.wait(watching)
        for member in herd.members:
            member.close()
    return {
        "clients": options.clients,
        "conversations": len(groups),
        "of each client": options.conversations,
        "missed": options.missed,
        "to": "the same hub, started again" if options.restart else "another hub, with the witnesses on it",
        "load average": os.getloadavg(),
        "first connect": filled,
        "witnesses before": calm,
        "witnesses during": during,
        **storm,
    }


async def watched(
    api: Api, witnesses: Witnesses, port: int, token: Callable[[str], str], count: int
) -> list["asyncio.Task[None]"]:
    tasks = []
    for number in range(count):
        made = await api(f"witness{number}", "conversation.create", kind="direct", members=[f"other{number}"])
        connection = await Connection.open("127.0.0.1", port, token(f"witness{number}"))
        tasks.append(asyncio.create_task(witnesses.watch(connection, made["conversation"]["id"])))
    return tasks


async def one_storm(herd: Herd, counters: Counters, pid: int, port: int) -> dict[str, Any]:
    """All of them come at once; until the last one has everything."""
    herd.port, herd.coming_back = port, True
    used, own = cpu_s(pid), time.process_time()
    counters.reset()
    print("storm", file=sys.stderr, flush=True)
    herd.connect_all(over_s=0.5)
    try:
        async with asyncio.timeout(GIVE_UP_S):
            while not herd.done.is_set():
                try:
                    async with asyncio.timeout(5):
                        await herd.done.wait()
                except TimeoutError:
                    print(f"{len(herd.caught_up_s)} have caught up", file=sys.stderr, flush=True)
    except TimeoutError:
        print("given up", file=sys.stderr, flush=True)
    asked = counters.since()
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        refused = refused_by_hub(await answer.text())
    return {
        "all caught up": herd.done.is_set(),
        "caught up (s)": summary(herd.caught_up_s),
        "connected (s)": summary(herd.connected_s),
        "events": dict(herd.events),
        "most often refused": herd.most_refused,
        "refused by the hub": refused,
        "mongodb": asked,
        "hub CPU (s)": cpu_s(pid) - used,
        "CPU of the clients (s)": time.process_time() - own,
        "hub RSS (MB)": rss_mb(pid),
    }


async def measure(run: Run) -> None:
    """Every round begins with an empty deployment."""
    for _ in run.rounds():
        with local_deployment() as (ready, data):
            tell(run, await measured(ready, data, run.options))


def tell(run: Run, found: dict[str, Any]) -> None:
    if not found["all caught up"]:
        raise SystemExit(f"not all have caught up: {found['events']}")
    clients, at = found["clients"], run.options.clients
    for share in ("p50", "max"):
        run.add(f"caught up, {share}", found["caught up (s)"][share], at)
    for when in ("before", "during"):
        for share in ("p50", "p99"):
            run.add(f"ping {when}, {share}", found[f"witnesses {when}"]["ping"][share], at)
    run.add("CPU of the hub, a client", found["hub CPU (s)"] / clients * 1000, at)
    run.add("CPU of the clients, a client", found["CPU of the clients (s)"] / clients * 1000, at)
    run.add("reads of logs, a client", found["mongodb"].get("messages: reads", 0) / clients, at)
    run.add("finds of MongoDB, a client", found["mongodb"].get("find commands", 0) / clients, at)
    run.add("times refused", sum(found["refused by the hub"].values()), at)
    run.notes |= {name: found[name] for name in ("to", "events", "most often refused", "refused by the hub")}


SCENARIO = Scenario(
    name="reconnect_storm",
    title="Everybody comes back at once",
    about="A hub is killed, every conversation gets some messages, then all of its clients come to another hub (or the "
    "same, started again) within half a second, with an SDK's backoff, and resume. Others are connected there all the "
    "time.",
    figures=[
        Figure("caught up, max", "s", goal=30.0, goal_at=15_000),
        Figure("caught up, p50", "s"),
        Figure("ping during, p99", "ms", baseline="ping before, p99", goal=1000.0, goal_at=15_000),
        Figure("ping during, p50", "ms", baseline="ping before, p50"),
        Figure("ping before, p99", "ms"),
        Figure("ping before, p50", "ms"),
        Figure("CPU of the hub, a client", "ms", chart="CPU, ms a client"),
        Figure("CPU of the clients, a client", "ms", "", chart="CPU, ms a client"),
        Figure("reads of logs, a client", "", chart="asked of MongoDB, a client"),
        Figure("finds of MongoDB, a client", "", chart="asked of MongoDB, a client"),
        Figure("times refused", "", "", chart="times refused"),
    ],
    measure=measure,
    sizes="clients",
    full={
        "clients": 15_000,
        "conversations": 5,  # of each client
        "members": 20,  # of each conversation
        "missed": 3,  # messages of each conversation
        "witnesses": 20,
        "calm": 10.0,  # seconds of measuring before
        "settle": 3.0,  # seconds between the last message and the storm
        "restart": False,  # onto the same hub, started again
    },
    quick={"clients": 200, "conversations": 3, "calm": 2.0},
)

if __name__ == "__main__":
    main(SCENARIO)
