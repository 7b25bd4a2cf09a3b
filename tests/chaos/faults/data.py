"""What is in the database, and what is read while it changes: F28, F37."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from chaos.fault import Fault, Run
from chaos.faults.someone import Someone, server_api, someone
from storage.model.keys import log_key


@asynccontextmanager
async def poisoned(run: Run) -> AsyncIterator[None]:
    """Entries that no version of this product writes, in the middle of a conversation."""
    from bson import Binary
    from pymongo import AsyncMongoClient

    from chaos.configuring import DATABASE

    cluster: Any = run.cluster
    hub, other = run.cluster.hubs[0], run.cluster.hubs[-1]
    url = f"mongodb://127.0.0.1:{cluster.mongods[0].port}/?directConnection=true"
    async with someone(run) as person, someone(run) as friend:
        conversation = await person.group(hub, friend.name)
        for number in range(3):
            await person.say(hub, conversation, f"before-{number}")
        first = {"c": conversation, "u": person.name, "t": 1, "n": 3}
        poison: list[dict[str, Any]] = [
            {**first, "k": "p1", "x": 5},
            {**first, "k": "p2", "j": "{not json"},
            {**first, "k": "p3", "y": 9999},
            {**first, "k": "p4", "x": ["a"], "m": 7},
            {"c": conversation, "u": person.name, "k": "p5"},
            {**first, "k": "p6", "t": "yesterday", "n": "many", "x": "x"},
            {**first, "k": Binary(b"x" * 12), "u": None, "x": "nobody's"},
            {**first, "k": "p8", "x": "y" * (600 << 10)},
        ]
        async with AsyncMongoClient[dict[str, Any]](url) as client:
            messages = client[DATABASE].messages
            tail = 4
            for place, document in enumerate(poison):
                await messages.insert_one({"_id": log_key(conversation, tail + 1 + place), **document})
            huge = await person.group(hub)
            await messages.insert_one(
                {"_id": log_key(huge, 2), "c": huge, "u": person.name, "t": 1, "n": 1, "k": "h", "x": "y" * (15 << 20)}
            )
        page = await person.page(hub, huge, "?after=0")
        offsets = [item["offset"] for item in page.body["items"]] if page.ok else page.status
        run.require("one of 15 MB is on a page as well", offsets == [2], f"{offsets}")
        said = await person.say(other, conversation, "after")
        run.require("it can be written to", said.ok, f"{said.status} {str(said.body)[:200]}")
        for at in (hub, other):
            for query in ("", "?after=0&limit=200", "?before=100", "?around=6", "?after=4"):
                page = await friend.page(at, conversation, query)
                run.require(
                    f"a page is readable ({query})", page.status == 200, f"{page.status} {str(page.body)[:200]}"
                )
                if page.ok and query in ("?after=0&limit=200", "?before=100"):
                    keys = [item.get("idempotency_key") for item in page.body["items"]]
                    cut = page.body["page"].get("truncated_by") == "bytes"  # the rest is on the next one
                    good = [key for key in keys if key and key[0] in "ba"]
                    run.require(f"what is good is on it ({query})", len(good) == 4 or cut, f"{keys}")
        position = {f"conv:{conversation}": {"recover": True, "epoch": "", "offset": 2}}
        async with friend.socket(hub, subs=position) as socket:
            await run.until(
                lambda: said.ok and said.body["message"]["offset"] in socket.offsets(f"conv:{conversation}"),
                within_s=8,
                told="a resume gets over it",
            )
            more = await person.say(other, conversation, "live")
            await run.until(
                lambda: more.ok and more.body["message"]["offset"] in socket.offsets(f"conv:{conversation}"),
                within_s=8,
                told="and is live again",
            )
        yield


WRITES: Final = 600
PER_S: Final = 200


@asynccontextmanager
async def paged_while_written(run: Run) -> AsyncIterator[None]:
    """A conversation is read from both ends, again and again, while two hundred messages a second go into it."""
    hub, other = run.cluster.hubs[0], run.cluster.hubs[-1]
    async with someone(run) as person, someone(run) as friend:
        conversation = await person.group(hub, friend.name)
        for number in range(150):
            await _publish(run, hub, person, conversation, number)
        writing = asyncio.create_task(_write_on(run, person, conversation))
        try:
            rounds = 0
            while not writing.done():
                for at in (hub, other):
                    forward = await _forward(friend, at, conversation)
                    backward = await _backward(friend, at, conversation)
                    for name, found in (("forward", forward), ("backward", backward)):
                        whole = found == list(range(found[0], found[0] + len(found))) if found else False
                        run.require(f"pages {name} have each message once", whole, f"{len(found)} messages")
                    rounds += 1
            run.note("times read from end to end", rounds)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        forward = await _forward(friend, other, conversation)
        backward = await _backward(friend, hub, conversation)
        run.require("both ways lead to the same", forward == backward, f"{len(forward)}, {len(backward)}")
        run.note("written", len(forward))
        yield


async def _publish(run: Run, hub: Any, person: Someone, conversation: str, number: int) -> None:
    data = {"sender": person.name, "idempotency_key": f"w{number}", "text": f"number {number}"}
    await server_api(run, hub, "publish", channel=f"conv:{conversation}", data=data)


async def _write_on(run: Run, person: Someone, conversation: str) -> None:
    hubs = run.cluster.hubs
    for number in range(150, 150 + WRITES, 10):
        started = asyncio.get_running_loop().time()
        await asyncio.gather(
            *(_publish(run, hubs[one % len(hubs)], person, conversation, one) for one in range(number, number + 10))
        )
        await asyncio.sleep(max(0.0, 10 / PER_S - (asyncio.get_running_loop().time() - started)))


async def _forward(person: Someone, hub: Any, conversation: str) -> list[int]:
    found: list[int] = []
    after = 0
    while True:
        page = await person.page(hub, conversation, f"?after={after}&limit=50")
        if not page.ok:
            raise LookupError(f"no page: {page.status} {page.body}")
        found += [item["offset"] for item in page.body["items"]]
        if not page.body["page"]["has_after"]:
            return found
        after = page.body["page"]["newest"]


async def _backward(person: Someone, hub: Any, conversation: str) -> list[int]:
    found: list[int] = []
    query = "?limit=50"
    while True:
        page = await person.page(hub, conversation, query)
        if not page.ok:
            raise LookupError(f"no page: {page.status} {page.body}")
        found = [item["offset"] for item in page.body["items"]] + found
        if not page.body["page"]["has_before"]:
            return found
        query = f"?limit=50&before={page.body['page']['oldest']}"


FAULTS: Final = (
    Fault("28", "entries that nobody can read", poisoned, lasts_s=1.0),
    Fault("37", "history read while it is written", paged_while_written, lasts_s=1.0),
)
