"""Conversations of any length on servers of their own and a hub beside them, for the benchmarks of history.

The rows are made by the stores and the entries by the encoder that the appender uses, put straight into the layout of
the log: only the commits are not one by one. There is no worker, which would follow all that.
"""

import os
import secrets
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import pymongo
from bson import Binary
from pymongo import MongoClient

from bench.second_hub import ADMITTED, Hub, second_hub
from chat.auth.mint import connection_token, new_secret
from chat.config import Secret
from storage.local.servers import LocalServers, local_servers
from storage.model import ConversationKind, EntryKind, NewEntry, Position, Role
from storage.mongo.client import Database, Document, connect
from storage.mongo.documents import document_of, prepare
from storage.mongo.migrate import migrate
from storage.mongo.rows import position_document
from storage.mongo.schema import CONVERSATIONS, KEY_INDEX, MESSAGES
from storage.store import Store, open_store

DATABASE: Final = "history"
READER: Final = "reader"
MEMBERS: Final = (READER, "ann", "ben")
HUB_CORE: Final = 0
OTHER_CORE: Final = 1
AT: Final = 1_700_000_000_000
BATCH: Final = 2_000
PATIENCE_S: Final = 120
"""For a batch, on a machine that has much else to do."""

TEXT_BYTES: Final = 100
CHANCE: Final = Random(7)
LETTERS: Final = "etaoinshrdlu" * 3 + "bcfgjkmpqvwxyz"
WORDS: Final = ["".join(CHANCE.choices(LETTERS, k=CHANCE.randint(2, 9))) for _ in range(3000)]
"""Text that compresses about as text does."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A conversation and the position of its last entry."""

    conversation: str
    head: Position

    def place(self, name: str) -> int:
        """What to ask for with `before` to get a page there: "newest", "middle" or "oldest"."""
        return {"newest": self.head.offset + 1, "middle": self.head.offset // 2, "oldest": 60}[name]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is there: servers, a hub on a core of its own, and conversations."""

    servers: LocalServers
    hub: Hub
    token: str
    filled: dict[int, Filled]
    """By their messages, or by how much is between two of them."""

    def pids(self) -> dict[str, int]:
        return {"hub": self.hub.pid, "mongod": self.servers.pids["mongod"], "load": os.getpid()}

    async def examined(self, asked: Awaitable[object]) -> tuple[int, int]:
        """(documents, keys) that MongoDB has looked at in the log for what is `asked`, by its own profiler."""
        client: MongoClient[Document] = MongoClient(self.servers.mongodb_url)
        db = client[DATABASE]
        db.command("profile", 2)
        await asked
        db.command("profile", 0)
        found = list(db["system.profile"].find({"ns": f"{DATABASE}.{MESSAGES}"}))
        db["system.profile"].drop()
        client.close()
        return sum(one["docsExamined"] for one in found), sum(one["keysExamined"] for one in found)


@asynccontextmanager
async def scene(directory: str, conversations: dict[int, tuple[int, int]]) -> AsyncIterator[Scene]:
    """`conversations`: by a name, how many messages and how many other entries after each. `directory`: where MongoDB's
    files are made and removed again; the system's place for such, if empty.
    """
    async with AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubbub-bench-", dir=directory or None)))
        servers = await stack.enter_async_context(local_servers(data, on_event=lambda _: None, ephemeral=True))
        async with connect(servers.mongodb_url, DATABASE) as db:
            await migrate(db)
            async with open_store(servers.mongodb_url, DATABASE) as store:
                # An index of random keys is made much faster at once than document by document.
                await db[MESSAGES].drop_index(KEY_INDEX)
                filled = {name: await fill(store, db, *what) for name, what in conversations.items()}
            await migrate(db)
        key = Secret(new_secret())
        (data / "config.toml").write_text(
            f'[token]\nhmac_secret_key = "{key.reveal()}"\n[mongodb]\ndatabase = "{DATABASE}"\n'
        )
        pin(servers.pids["mongod"], OTHER_CORE)
        pin(os.getpid(), OTHER_CORE)
        ready = {"mongodb_url": servers.mongodb_url, "redis_url": servers.redis_url}
        hub = await stack.enter_async_context(second_hub(ready, data, core=HUB_CORE, environment=ADMITTED))
        yield Scene(servers, hub, connection_token(READER, key, now_s=time.time(), ttl_s=7200), filled)


def pin(pid: int, core: int) -> None:
    """All threads of a process to one core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread.name), {core})


async def fill(store: Store, db: Database, messages: int, others: int) -> Filled:
    """A group with so many messages, and so many other entries after each."""
    owner, *rest = MEMBERS
    joining = [(owner, Role.OWNER), *((user, Role.MEMBER) for user in rest)]
    made = await store.conversations.create(kind=ConversationKind.GROUP, by=owner, members=joining, at=AT)
    conversation = made.conversation.id
    documents = entries(conversation, await store.log.tail(conversation), messages, others)
    while batch := list(islice(documents, BATCH)):
        with pymongo.timeout(PATIENCE_S):
            await db[MESSAGES].insert_many(batch, ordered=False)
    head = await store.log.tail(conversation)
    await db[CONVERSATIONS].update_one({"_id": conversation}, {"$set": {"head": position_document(head)}})
    return Filled(conversation, head)


def entries(conversation: str, after: Position, messages: int, others: int) -> Iterator[Document]:
    """Documents of the log, ascending. Every message has an idempotency key of its own, as clients make them."""
    sheet = [_message(conversation, number, edited=bool(others)) for number in range(997)]
    about = [_other(conversation, number) for number in range(others)]
    offset, n = after.offset, after.n
    for number in range(messages):
        offset, n = offset + 1, n + 1
        fields = {**sheet[number % len(sheet)], "k": Binary(uuid.uuid4().bytes, 4)}
        yield document_of(fields, conversation, offset, n)
        for other in about:
            offset += 1
            yield document_of({**other, "k": Binary(secrets.token_bytes(12))}, conversation, offset, n)


def _message(conversation: str, number: int, *, edited: bool) -> Document:
    body: dict[str, object] = {"text": _text()}
    if edited:
        body |= {"reactions": {"👍": 3, "🎉": 1}, "version": 1, "edited_at": AT}
    by = MEMBERS[number % len(MEMBERS)]
    return _fields(NewEntry(conversation, EntryKind.MESSAGE_CREATED, by, AT + number, None, body))


def _other(conversation: str, number: int) -> Document:
    """A reaction's summary, or an edit, which has the whole message in it; in turns."""
    by = MEMBERS[number % len(MEMBERS)]
    body: dict[str, object] = {"target": 2, "reactions": {"👍": 3, "🎉": 1}}
    kind = EntryKind.REACTION_CHANGED
    if number % 2:
        image = {"n": 1, "by": by, "at": AT, "key": None, "body": {"text": _text(), "version": 1, "edited_at": AT}}
        body, kind = {"target": 2, "message": image}, EntryKind.MESSAGE_EDITED
    return _fields(NewEntry(conversation, kind, by, AT, None, body))


def _text() -> str:
    return " ".join(CHANCE.choices(WORDS, k=TEXT_BYTES))[:TEXT_BYTES]


def _fields(new: NewEntry) -> Document:
    return prepare(new, own_key=lambda: secrets.token_bytes(12)).fields
