"""What a message takes on the disk of one member of a replica set, with its indexes.

Messages of ordinary words are appended to many conversations as a hub does it; MongoDB then writes everything to its
files and tells their sizes. Beside it, the length of the texts.
"""

import asyncio
import random
import uuid
from typing import Any, Final

from pymongo import MongoClient

from bench.local import local_deployment
from bench.suite import Figure, Run, Scenario, main
from chat.config import load
from storage.model import EntryKind, NewEntry
from storage.mongo.schema import MESSAGES
from storage.store import open_store

SYLLABLES: Final = ("ba", "ko", "ti", "ren", "sul", "ma", "vo", "li", "den", "ra", "eth", "on", "ing", "ly", "ter")
AT_ONCE: Final = 250


def words(chance: random.Random) -> list[str]:
    return ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(3000)]


async def measure(run: Run) -> None:
    chance = random.Random(1)
    known = words(chance)
    with local_deployment() as (ready, data):
        database = load(data / "config.toml", {}).config.mongodb.database
        files: Any = MongoClient(ready["mongodb_url"])
        async with open_store(ready["mongodb_url"], database) as store:
            before = _sizes(files, database)
            written = text_bytes = 0
            for number in run.rounds():
                conversations = [
                    f"{number:x}".rjust(2, "a") + f"{one:024d}" for one in range(run.options.conversations)
                ]
                for first in range(0, run.options.messages, AT_ONCE):
                    waiting = []
                    for _ in range(first, min(first + AT_ONCE, run.options.messages)):
                        text = " ".join(chance.choices(known, k=chance.randint(1, 24)))
                        text_bytes += len(text)
                        new = NewEntry(
                            chance.choice(conversations),
                            EntryKind.MESSAGE_CREATED,
                            f"user{chance.randrange(10_000)}",
                            1_700_000_000_000 + chance.randrange(10**10),
                            str(uuid.UUID(int=chance.getrandbits(128))),
                            {"text": text},
                        )
                        waiting.append(store.appender.append(new))
                    await asyncio.gather(*waiting)
                written += run.options.messages
                # Of all rounds so far: files grow in steps.
                sizes = zip(_sizes(files, database), before, strict=True)
                collection, indexes = ((now - then) / written for now, then in sizes)
                run.add("on disk", collection + indexes)
                run.add("of it the log", collection)
                run.add("of it its indexes", indexes)
                run.add("its text", text_bytes / written)


def _sizes(files: Any, database: str) -> tuple[int, int]:
    """Of the log and of its indexes, in bytes, with everything on disk."""
    files.admin.command("fsync")
    stats = files[database].command("collStats", MESSAGES)
    return int(stats["storageSize"]), int(stats["totalIndexSize"])


SCENARIO = Scenario(
    name="stored",
    title="A message on disk",
    about="Messages of 1 to 24 words in many conversations, appended as a hub does it.",
    figures=[
        Figure("on disk", "bytes a message", baseline="its text"),
        Figure("of it the log", "bytes a message"),
        Figure("of it its indexes", "bytes a message"),
        Figure("its text", "bytes a message", better=""),
    ],
    measure=measure,
    full={"messages": 50_000, "conversations": 2000},
    quick={"messages": 20_000},
)

if __name__ == "__main__":
    main(SCENARIO)
