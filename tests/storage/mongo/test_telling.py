"""Whoever is killed, wherever: in the end row and log say what the reactions and replies are."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from storage.model import Appended, EntryKind, NewEntry, ids
from storage.model.due import Due, DueKind
from storage.mongo import threads
from storage.mongo.amending import Amending
from storage.mongo.client import Database, connect
from storage.mongo.due import DueMarks
from storage.mongo.follower import Follower
from storage.mongo.reactions import ReactionRows
from storage.mongo.schema import CONVERSATIONS, DUE, MEMBERS
from storage.mongo.telling import Telling
from storage.mongo.threads import Threads
from storage.mongo.users import Users
from storage.stats import Stats
from storage.store import Store, open_store
from support.appending import Hub, a_hub, whole_log
from support.conversing import AT, a_group, say
from support.processes import Script
from support.waiting import eventually


class Killed(Exception):
    """Stands for SIGKILL between two steps."""


@pytest.fixture
async def dying(mongodb_url: str, db: Database) -> AsyncIterator[Hub]:
    """A hub that does nothing beyond what it is asked for, as if it were killed right after."""
    async with a_hub(mongodb_url, db.name) as hub:
        yield hub


@pytest.fixture
async def root(store: Store) -> tuple[str, int]:
    group = await a_group(store)
    said = await say(store, group.id, "ada", ["root"])
    return group.id, said[0].entry.offset


@asynccontextmanager
async def a_worker(url: str, database: str) -> AsyncIterator[Store]:
    """Follower and sweep, without the patience that running hubs are given."""
    owner = secrets.token_hex(4)
    async with (
        connect(url, database) as db,
        Follower(db, owner=owner, stats=Stats(CollectorRegistry()), settle_s=0.1, lease_ttl_ms=2000),
        open_store(url, database, sweep_as=owner) as store,
    ):
        yield store


async def agreed(db: Database, store: Store, root: tuple[str, int]) -> tuple[dict[str, int], int]:
    """(reactions, replies) as the row has them. Log and marks agree, or this fails."""
    assert await db[DUE].count_documents({}) == 0
    message = await store.log.get(*root)
    assert message is not None
    told: dict[EntryKind, dict[str, object]] = {}
    for entry in await whole_log(db, root[0]):
        if entry.body.get("target") == root[1]:
            told[entry.kind] = dict(entry.body)
    reactions = dict(message.body.get("reactions", {}))
    assert told.get(EntryKind.REACTION_CHANGED, {}).get("reactions", {}) == reactions
    thread = message.body.get("thread")
    assert told.get(EntryKind.THREAD_CHANGED, {}).get("thread") == thread
    replies = 0 if thread is None else int(thread["replies"])
    assert (await store.log.tail(ids.thread_id(*root))).n == replies
    return reactions, replies


async def settled(db: Database, store: Store, root: tuple[str, int]) -> tuple[dict[str, int], int]:
    async def there() -> tuple[dict[str, int], int]:
        return await agreed(db, store, root)

    return await eventually(there, within_s=30)


def rows(hub: Hub) -> tuple[ReactionRows, DueMarks]:
    marks = DueMarks(hub.db)
    return ReactionRows(hub.db, marks, lambda: AT), marks


async def reply(hub: Hub, root: tuple[str, int], by: str, text: str) -> Appended:
    """A reply as the first of its writer is sent, by a hub that tells nobody."""
    async with Users(hub.db) as users:
        threads = Threads(hub.db, hub.appender, users)
        new = NewEntry(ids.thread_id(*root), EntryKind.MESSAGE_CREATED, by, AT, None, {"text": text})
        appended = await threads.append(new)[0]
    assert appended is not None
    return appended


async def test_a_reaction_whose_hub_was_killed_after_the_commit_is_told_by_the_worker(
    mongodb_url: str, db: Database, store: Store, dying: Hub, root: tuple[str, int]
) -> None:
    reactions, _ = rows(dying)
    async with reactions:
        await reactions.add(*root, "bob", "👍", at=AT)
    message = await store.log.get(*root)
    assert message is not None
    assert "reactions" not in message.body
    async with a_worker(mongodb_url, db.name) as worker:
        assert await settled(db, worker, root) == ({"👍": 1}, 0)


async def test_a_reaction_that_was_not_committed_left_nothing(
    db: Database, store: Store, dying: Hub, root: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reactions, marks = rows(dying)

    async def killed(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(marks, "put", killed)
    async with reactions:
        with pytest.raises(Exception, match="internal error"):
            await reactions.add(*root, "bob", "👍", at=AT)
    assert await agreed(db, store, root) == ({}, 0)
    assert (await store.reactions.of(*root, "bob")).own == ()


@pytest.mark.parametrize("dies_in", ["take", "rewrite_within", "insert_within"])
async def test_a_hub_killed_while_it_tells_leaves_all_or_nothing_of_it(
    mongodb_url: str, db: Database, dying: Hub, root: tuple[str, int], dies_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reactions, marks = rows(dying)
    amending = Amending(dying.db, dying.appender)
    telling = Telling(dying.db, amending, marks, reactions, lambda: AT)
    async with reactions:
        await reactions.add(*root, "bob", "👍", at=AT)
        await reply(dying, root, "bob", "yes")

        async def killed(*_: object, **__: object) -> None:
            raise Killed

        for part in (marks, amending._log, dying.appender._writer._log):
            if hasattr(part, dies_in):
                monkeypatch.setattr(part, dies_in, killed)
        for kind in DueKind:
            with pytest.raises(Exception, match=r"internal error|in time"):
                await telling.tell(Due(kind, *root))
        before = await whole_log(db, root[0])
        assert [entry.offset for entry in before] == [1, 2]
        assert await db[DUE].count_documents({}) >= 1
    async with a_worker(mongodb_url, db.name) as worker:
        assert await settled(db, worker, root) == ({"👍": 1}, 1)


async def test_replies_whose_hub_was_killed_before_it_told_of_them_are_told_by_the_worker(
    mongodb_url: str, db: Database, dying: Hub, root: tuple[str, int]
) -> None:
    async with a_worker(mongodb_url, db.name) as worker:
        for text in ("one", "two", "three"):
            await reply(dying, root, "bob", text)
        assert await settled(db, worker, root) == ({}, 3)


async def test_replies_that_nobody_followed_are_found_by_a_follower_that_begins_anew(
    mongodb_url: str, db: Database, dying: Hub, root: tuple[str, int]
) -> None:
    await reply(dying, root, "bob", "one")
    async with a_worker(mongodb_url, db.name) as worker:
        assert await settled(db, worker, root) == ({}, 1)


async def test_a_first_reply_that_was_not_committed_left_no_thread(
    db: Database, dying: Hub, root: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(dying.appender._writer._log, "insert_within", killed)
    with pytest.raises(Exception, match=r"in time|internal error"):
        await reply(dying, root, "bob", "never")
    thread = ids.thread_id(*root)
    assert await db[CONVERSATIONS].find_one({"_id": thread}) is None
    assert await db[MEMBERS].find_one({"conversation": thread}) is None


async def test_first_replies_race_to_one_thread(
    db: Database, store: Store, other_store: Store, root: tuple[str, int]
) -> None:
    thread = ids.thread_id(*root)

    def first(one: Store, by: str) -> "asyncio.Future[Appended | None]":
        return one.threads.append(NewEntry(thread, EntryKind.MESSAGE_CREATED, by, AT, None, {"text": by}))[0]

    users = [f"user{number}" for number in range(12)]
    await asyncio.gather(*(first((store, other_store)[number % 2], user) for number, user in enumerate(users)))
    assert {entry.by for entry in await whole_log(db, thread)} == set(users)
    assert await db[CONVERSATIONS].count_documents({"_id": thread}) == 1
    followers = {row["user"] async for row in db[MEMBERS].find({"conversation": thread})}
    assert followers == {*users, "ada"}
    assert await settled(db, store, root) == ({}, 12)


async def test_many_who_sweep_and_tell_at_once_count_nothing_twice(
    mongodb_url: str, db: Database, dying: Hub, root: tuple[str, int]
) -> None:
    reactions, _ = rows(dying)
    async with reactions:
        for number in range(12):
            await reactions.add(*root, f"user{number}", "👍", at=AT)
        await reactions.remove(*root, "user3", "👍", at=AT)
    async with a_hub(mongodb_url, db.name) as other, open_store(mongodb_url, db.name) as store:
        tellings = [
            Telling(hub.db, Amending(hub.db, hub.appender), DueMarks(hub.db), reactions, lambda: AT)
            for hub in (dying, other, dying, other)
        ]
        due = Due(DueKind.REACTIONS, *root)
        await asyncio.gather(*(telling.tell(due, at_once=True) for telling in tellings))
        assert await settled(db, store, root) == ({"👍": 11}, 0)


_HUB = """
import asyncio, json, sys
from storage.store import open_store

async def main(url, database, conversation, offset):
    async with open_store(url, database) as store:
        store.reactions.on_changed = lambda due: None
        for number in range(10_000):
            await store.reactions.add(conversation, int(offset), f"user{number}", "x", at=1)
            print(json.dumps(number + 1), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_a_killed_process_has_acknowledged_is_told(
    mongodb_url: str, db: Database, root: tuple[str, int]
) -> None:
    with Script.running(_HUB, mongodb_url, db.name, root[0], str(root[1])) as hub:
        acknowledged = 0
        while acknowledged < 20:
            acknowledged = await asyncio.to_thread(hub.line)
        hub.kill()
    async with a_worker(mongodb_url, db.name) as worker:
        reactions, _ = await settled(db, worker, root)
    # One more may have been committed than was heard of.
    assert reactions["x"] >= acknowledged


async def test_the_thread_that_was_followed_longest_makes_room(
    db: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "MAX_FOLLOWED", 3)
    group = (await a_group(store)).id
    said = await say(store, group, "ada", [str(number) for number in range(5)])
    followed = [ids.thread_id(group, one.entry.offset) for one in said]
    for number, thread in enumerate(followed):
        new = NewEntry(thread, EntryKind.MESSAGE_CREATED, "bob", AT + number, None, {"text": "reply"})
        await store.threads.append(new)[0]
    changed = await store.inbox.changes("bob", 0)
    live = {member.conversation for member in changed.members if member.live}
    assert live == {group, *followed[2:]}
    assert {thread.id for _, thread in await store.threads.list("bob", limit=10)} == set(followed[2:])
