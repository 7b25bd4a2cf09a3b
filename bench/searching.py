"""How long a search takes in a conversation of 100,000 messages.

Starts a MongoDB of its own unless MONGODB_URL names one.
"""

import os
import random
import secrets
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from bench.suite import Figure, Run, Scenario, main
from storage.local.mongod import mongod
from storage.model import EntryKind, NewEntry
from storage.mongo.client import Database, connect
from storage.mongo.documents import document_of, prepare
from storage.mongo.migrate import migrate
from storage.mongo.schema import MESSAGES
from storage.mongo.searching import Hits, Searching, Wanted

WORDS = [f"{secrets.token_hex(3)}" for _ in range(5000)]
CONVERSATION = "b" * 26
START = 1_700_000_000_000


CASES = {
    "one rare word": Wanted(("needle",)),
    "three words, none there": Wanted(("alpha", "beta", "gamma")),
    "a word of every 400th message": Wanted((WORDS[0],)),
    "a sender": Wanted(sender="user3"),
    "a rare word, an hour in the middle": Wanted(("needle",), after=START + 44_000_000, before=START + 47_600_000),
}


async def fill(db: Database, messages: int) -> None:
    """Messages of twelve words; one in 10,000 has the word that is searched for."""
    chance = random.Random(7)
    for first in range(1, messages, 1000):
        documents = []
        for offset in range(first, first + 1000):
            text = " ".join(chance.choices(WORDS, k=12)) + (" needle" if offset % 10_000 == 5_000 else "")
            new = NewEntry(
                CONVERSATION,
                EntryKind.MESSAGE_CREATED,
                f"user{offset % 20}",
                START + offset * 1000,
                None,
                {"text": text},
            )
            fields = prepare(new, own_key=lambda: secrets.token_bytes(12)).fields
            documents.append(document_of(fields, CONVERSATION, offset, offset))
        await db[MESSAGES].insert_many(documents)


async def whole(searching: Searching, wanted: Wanted) -> tuple[int, list[float]]:
    """Search from the newest to the oldest; hits, and the time of each call in ms."""
    found, times, upto = 0, [], None
    while True:
        begun = time.perf_counter()
        hits: Hits = await searching.find(CONVERSATION, wanted, upto=upto, limit=20, max_bytes=48 * 1024)
        times.append((time.perf_counter() - begun) * 1000)
        found += len(hits.entries)
        if hits.complete:
            return found, times
        upto = hits.examined_to - 1


async def measure(run: Run) -> None:
    async with AsyncExitStack() as stack:
        url = os.environ.get("MONGODB_URL")
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
            url = (await stack.enter_async_context(mongod(folder, ephemeral=True))).url
        db = await stack.enter_async_context(connect(url, f"bench_{secrets.token_hex(4)}"))
        stack.push_async_callback(db.client.drop_database, db.name)
        await migrate(db)
        await fill(db, run.options.messages)
        searching = Searching(db, clock=lambda: START + 10**9)
        for _ in run.rounds():
            for name, wanted in CASES.items():
                found, times = await whole(searching, wanted)
                run.notes[name] = f"{found} hits in {len(times)} calls"
                run.add(f"{name}: a call", median(times))
                run.add(f"{name}: all", sum(times))


SCENARIO = Scenario(
    name="searching",
    title="Searching one long conversation",
    about="Messages of twelve words, searched from the newest to the oldest; a call returns up to 20 hits.",
    figures=[
        *(Figure(f"{name}: a call", "ms", chart="a call (median), ms") for name in CASES),
        *(Figure(f"{name}: all", "ms", chart="the whole conversation, ms") for name in CASES),
    ],
    measure=measure,
    full={"messages": 100_000},
    quick={"messages": 20_000},
)

if __name__ == "__main__":
    main(SCENARIO)
