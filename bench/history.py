"""A page of fifty messages: the same from the shortest conversation and the longest, from its end and its beginning.

    python -m bench.history [--messages 1000,10000,100000,1000000] [--calls 400] [--clients 8] [--directory /dev/shm]

One client at a time asks for the newest, a middle and the oldest page of each conversation, in turns, and MongoDB's
profiler tells what it looked at. Then several ask at once, for pages anywhere: the hub has a core to itself, everything
else the other one. Beside it, in the same rounds: a plain `find` of fifty documents through the driver and their JSON.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

import orjson

from bench.history_scene import DATABASE, Filled, Scene, scene
from bench.load import Client
from bench.machine import CpuSince
from bench.page_load import Getter, ask_pages, get_pages, request
from bench.results import percentile
from bench.suite import Figure, Run, Scenario, main
from storage.model.keys import MAX_OFFSET, log_key
from storage.mongo.client import Database, connect
from storage.mongo.schema import MESSAGES
from storage.store import Store, open_store

PLACES: Final = ("newest", "middle", "oldest")
GZIP: Final = "Accept-Encoding: gzip\r\n"
UNCHANGED: Final = "If-None-Match: *\r\n"
WAYS: Final = {
    "pages": "",
    "pages in gzip": GZIP,
    "one page for all": "",
    "one page for all, in gzip": GZIP,
    "one page for all, unchanged": UNCHANGED,
}


async def plain_find(db: Database, filled: Filled) -> bytes:
    """Fifty documents, newest first, by the driver alone, and their JSON."""
    keys = {"$gt": log_key(filled.conversation, 0), "$lte": log_key(filled.conversation, MAX_OFFSET)}
    found = db[MESSAGES].find({"_id": keys}, sort=[("_id", -1)], limit=50).batch_size(51)
    return orjson.dumps(await found.to_list(50), default=bytes.hex)


async def took_ms(doing: Awaitable[object]) -> float:
    began = time.perf_counter()
    await doing
    return (time.perf_counter() - began) * 1000


async def lone(run: Run, on: Scene, db: Database) -> None:
    """One at a time, in turns."""
    getter = await Getter.open(on.hub.port)
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(run.options.calls // 4):
        for size, filled in on.filled.items():
            for place in PLACES:
                asked = request(filled.conversation, on.token, before=filled.place(place))
                times.setdefault((place, size), []).append(await took_ms(getter.get(asked)))
            times.setdefault(("find", size), []).append(await took_ms(plain_find(db, filled)))
    for (place, size), of in times.items():
        if place == "find":
            run.add("a plain find", percentile(of, 0.5), at=size)
            continue
        run.add(place, percentile(of, 0.5), at=size)
        run.add(f"{place}, p99", percentile(of, 0.99), at=size)
    for size, filled in on.filled.items():
        for place in PLACES:
            asked = request(filled.conversation, on.token, before=filled.place(place))
            documents, keys = await on.examined(getter.get(asked))
            run.add(f"documents examined, {place}", documents, at=size)
            run.add(f"keys examined, {place}", keys, at=size)
    getter.close()


async def together(run: Run, on: Scene) -> None:
    """Several at once, by REST."""
    everywhere = list(on.filled.values())

    def anywhere(headers: str) -> bytes:
        filled = random.choice(everywhere)
        return request(filled.conversation, on.token, before=random.randint(60, filled.head.offset), headers=headers)

    def asking(way: str, headers: str) -> Callable[[], bytes]:
        newest = request(everywhere[-1].conversation, on.token, headers=headers)
        return (lambda: newest) if "one page" in way else partial(anywhere, headers)

    for way, headers in WAYS.items():
        used = CpuSince(on.pids())
        per_s, times = await get_pages(on.hub.port, run.options.clients, run.options.calls, asking(way, headers))
        cpu = used.take()
        run.add(f"{way}: CPU of the hub", cpu["hub"].both_s / len(times) * 1e6)
        run.add(f"{way}: CPU of mongod", cpu["mongod"].both_s / len(times) * 1e6)
        run.add(f"{way}: rate", per_s)
        if way == "pages":
            run.add("pages: CPU of the load", cpu["load"].both_s / len(times) * 1e6)
            run.add("pages: p50", percentile(times, 0.5))
            run.add("pages: p99", percentile(times, 0.99))


async def by_socket(run: Run, on: Scene, clients: list[Client]) -> None:
    everywhere = list(on.filled.values())

    def anywhere() -> dict[str, object]:
        filled = random.choice(everywhere)
        return {"conversation": filled.conversation, "before": random.randint(60, filled.head.offset), "limit": 50}

    used = CpuSince(on.pids())
    await ask_pages(clients, run.options.calls, anywhere)
    run.add("over the socket: CPU of the hub", used.take()["hub"].both_s / run.options.calls * 1e6)


async def without_http(run: Run, on: Scene, store: Store, db: Database) -> None:
    """In this process: the store's pages, and plain finds, as many at once."""
    everywhere = list(on.filled.values())

    async def page() -> object:
        filled = random.choice(everywhere)
        before = random.randint(60, filled.head.offset)
        return await store.pages.before(filled.conversation, before, 50, max_bytes=48 * 1024)

    async def find() -> object:
        return await plain_find(db, random.choice(everywhere))

    ways: dict[str, Callable[[], Awaitable[Any]]] = {"the store alone: CPU": page, "find and JSON: CPU": find}
    for figure, doing in ways.items():
        began = time.process_time()
        await at_once(run.options.clients, run.options.calls, doing)
        run.add(figure, (time.process_time() - began) / run.options.calls * 1e6)


async def at_once(clients: int, calls: int, doing: Callable[[], Awaitable[Any]]) -> None:
    await asyncio.gather(*(repeat(calls // clients, doing) for _ in range(clients)))


async def repeat(times: int, doing: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(times):
        await doing()


async def measure(run: Run) -> None:
    run.say("filling")
    async with AsyncExitStack() as stack:
        on = await stack.enter_async_context(
            scene(run.options.directory, {size: (size, 0) for size in run.options.messages})
        )
        db = await stack.enter_async_context(connect(on.servers.mongodb_url, DATABASE))
        store = await stack.enter_async_context(open_store(on.servers.mongodb_url, DATABASE))
        clients = [await Client.open("127.0.0.1", on.hub.port, on.token) for _ in range(run.options.clients)]
        for _ in run.rounds(warm=1):
            await lone(run, on, db)
            await together(run, on)
            await by_socket(run, on, clients)
            await without_http(run, on, store, db)
        for client in clients:
            client.close()


PLAIN: Final = "find and JSON: CPU"

SCENARIO = Scenario(
    name="history",
    title="A page of history",
    about="Fifty messages from conversations of any length, beside a plain find of fifty documents and their JSON.",
    figures=[
        *(Figure(place, "ms", baseline="a plain find") for place in PLACES),
        Figure("a plain find", "ms"),
        *(Figure(f"{place}, p99", "ms", chart="p99, ms") for place in PLACES),
        *(Figure(f"documents examined, {place}", "documents", goal=52) for place in PLACES),
        *(Figure(f"keys examined, {place}", "keys", goal=52) for place in PLACES),
        *(Figure(f"{way}: CPU of the hub", "µs", baseline=PLAIN, goal=1e6 / 1500) for way in WAYS),
        *(Figure(f"{way}: CPU of mongod", "µs") for way in WAYS),
        Figure("over the socket: CPU of the hub", "µs", baseline=PLAIN),
        Figure("the store alone: CPU", "µs", baseline=PLAIN),
        Figure(PLAIN, "µs"),
        Figure("pages: CPU of the load", "µs", better=""),
        *(Figure(f"{way}: rate", "pages/s", better="higher", goal=1500) for way in WAYS),
        Figure("pages: p50", "ms", chart="several at once, ms"),
        Figure("pages: p99", "ms", chart="several at once, ms"),
    ],
    measure=measure,
    sizes="messages",
    full={"messages": (1_000, 10_000, 100_000, 1_000_000), "calls": 400, "clients": 8, "directory": ""},
    quick={"messages": (1_000, 10_000), "calls": 240},
)

if __name__ == "__main__":
    main(SCENARIO)
