"""Nothing about reactions and threads looks through a whole collection, however much else there is."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymongo.monitoring import CommandListener

from storage.model import EntryKind, NewEntry, ids
from storage.model.due import Due, DueKind
from storage.model.keys import log_key
from storage.mongo.client import Database
from storage.mongo.due import DueMarks
from storage.mongo.schema import DUE, MEMBERS, REACTIONS
from storage.store import Store, open_store
from support.conversing import AT, a_group, say

OTHERS = 400
MESSAGE = 2


class Commands(CommandListener):
    """Collects everything that reads or writes by a filter."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        command, name = event.command, event.command_name
        if name == "find":
            kept = ("find", "filter", "sort", "limit", "projection")
            self.commands.append({field: command[field] for field in kept if field in command})
        elif name in ("delete", "update"):
            # Writes are explained one by one.
            self.commands += [{name: command[name], f"{name}s": [write]} for write in command[f"{name}s"]]

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


def reply(conversation: str, by: str) -> NewEntry:
    return NewEntry(ids.thread_id(conversation, MESSAGE), EntryKind.MESSAGE_CREATED, by, AT, None, {"text": "reply"})


QUERIES: dict[str, Callable[[Store, Database, str], Awaitable[object]]] = {
    "react": lambda store, _, c: store.reactions.add(c, MESSAGE, "user7", "b", at=AT),
    "unreact": lambda store, _, c: store.reactions.remove(c, MESSAGE, "user7", "a", at=AT),
    "the counts": lambda store, _, c: store.reactions.of(c, MESSAGE, "user7"),
    "who reacted": lambda store, _, c: store.reactions.page(c, MESSAGE, limit=2),
    "who reacted so": lambda store, _, c: store.reactions.page(c, MESSAGE, reaction="a", after="a|user1", limit=2),
    "erase": lambda store, _, c: store.reactions.erase(c, MESSAGE),
    "marks": lambda _, db, c: DueMarks(db).of(Due(DueKind.REACTIONS, c, MESSAGE)),
    "old marks": lambda _, db, __: DueMarks(db).older(AT + 5, 3),
    "put marks off": lambda _, db, c: DueMarks(db).put_off(Due(DueKind.REACTIONS, c, MESSAGE), AT),
    "first reply": lambda store, _, c: store.threads.append(reply(c, "user7"))[0],
    "follow": lambda store, _, c: store.threads.follow(ids.thread_id(c, 3), "user7", at=AT),
    "unfollow": lambda store, _, c: store.threads.unfollow(ids.thread_id(c, 3), "ada", at=AT),
    "followed threads": lambda store, _, __: store.threads.list("ada", limit=5, before=(AT + 5, "a")),
}


@pytest.fixture
async def filled(db: Database, store: Store) -> str:
    """A conversation with reactions, marks and a thread, among many others."""
    group = (await a_group(store)).id
    await say(store, group, "ada", ["hello", "with a thread"])
    new = NewEntry(ids.thread_id(group, 3), EntryKind.MESSAGE_CREATED, "bob", AT, None, {"text": "reply"})
    await store.threads.append(new)[0]
    rows: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    members: list[dict[str, Any]] = []
    for number in range(OTHERS):
        key = log_key("z" * 26 if number % 2 else "a" * 26, number + 1)
        rows.append({"_id": f"{key}|a|user7", "message": key, "user": "user7", "at": AT})
        marks.append({"_id": f"reactions|{key}|0", "at": AT + 10 + number, "by": "user7"})
        members.append({"_id": f"x{number}|other", "conversation": f"x{number}", "user": "other", "revision": 1})
    await db[REACTIONS].insert_many(rows)
    await db[DUE].insert_many(marks)
    await db[MEMBERS].insert_many(members)
    for number in range(5):
        await store.reactions.add(group, MESSAGE, f"user{number}", "a", at=AT)
    await store.reactions.add(group, MESSAGE, "user7", "a", at=AT)
    return group


@pytest.mark.parametrize("name", QUERIES)
async def test_every_command_looks_at_little(db: Database, mongodb_url: str, filled: str, name: str) -> None:
    watching = Commands()
    async with open_store(mongodb_url, db.name, listeners=[watching]) as watched:
        watching.commands.clear()
        await QUERIES[name](watched, watched.log._messages.database, filled)
        commands = list(watching.commands)
    assert commands
    for command in commands:
        explained = await db.command("explain", command, verbosity="executionStats")
        assert "COLLSCAN" not in str(explained["queryPlanner"]["winningPlan"]), command
        stats = explained["executionStats"]
        assert stats["totalDocsExamined"] <= 20, command
