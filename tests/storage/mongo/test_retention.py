"""Retention: whole stretches go from the oldest end; places, counts and readers stay right, whoever is killed when."""

import asyncio
from typing import Any

import pytest

from storage.append.tails import TAIL_AGE_S
from storage.model import EntryKind, Position
from storage.model.keys import log_key
from storage.mongo import retention as module
from storage.mongo.client import Database
from storage.mongo.retention import MIN_RETENTION_S, Outdated
from storage.mongo.schema import CONVERSATIONS, MESSAGES, REACTIONS
from storage.store import Store
from support.conversing import AT, a_group, say

HOUR = 3_600_000
DAY = 24 * HOUR


async def old_group(store: Store, *, old: int = 5, new: int = 2) -> str:
    """member.joined and `old` messages of long ago, `new` ones of a day later."""
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", [f"old {i}" for i in range(old)], at=AT)
    await say(store, conversation, "ada", [f"new {i}" for i in range(new)], at=AT + DAY)
    await store.summaries.flush()
    return conversation


async def row_of(db: Database, conversation: str) -> dict[str, Any]:
    row = await db[CONVERSATIONS].find_one({"_id": conversation})
    assert row is not None
    return row


async def test_old_entries_go_and_the_log_says_from_where_it_is_kept(db: Database, store: Store) -> None:
    conversation = await old_group(store)
    assert await store.retention.trim(Outdated(conversation, AT + HOUR), at=AT + DAY) == 6
    kept = (await store.log.range(conversation, 6, limit=100)).entries
    assert [entry.offset for entry in kept] == [7, 8, 9]
    assert (kept[-1].kind, kept[-1].by) == (EntryKind.CONVERSATION_UPDATED, "")
    assert kept[-1].body == {"oldest": 7}
    assert kept[-1].n == 7
    found = await store.conversations.get(conversation)
    assert found is not None
    assert (found.oldest, found.oldest_n, found.floor) == (7, 5, Position(6, 5))
    assert (await row_of(db, conversation))["oldest_at"] == AT + DAY


async def test_unread_counts_only_what_is_there(store: Store) -> None:
    conversation = await old_group(store)
    await store.retention.trim(Outdated(conversation, AT + HOUR), at=AT + DAY)
    (membership,) = await store.inbox.of_user_for_connect("bob")
    assert membership.unread == 2
    assert await store.log.position_at(conversation, 3) == Position(3, 5)
    assert (await store.log.position_at(conversation, 8)).n == 7


async def test_pages_say_that_retention_ends_them(store: Store) -> None:
    conversation = await old_group(store)
    whole = await store.log.messages_before(conversation, None, 100)
    assert (whole.has_before, whole.truncated_by) == (False, None)
    await store.retention.trim(Outdated(conversation, AT + HOUR), at=AT + DAY)
    newest = await store.log.messages_before(conversation, None, 100)
    assert (len(newest.entries), newest.has_before, newest.truncated_by) == (2, False, "retention")
    first = await store.log.messages_before(conversation, None, 1)
    assert (first.has_before, first.truncated_by) == (True, None)
    below = await store.log.messages_before(conversation, 4, 10)
    assert (below.entries, below.has_before, below.truncated_by) == ([], False, "retention")
    after = await store.log.messages_after(conversation, 2, 10)
    assert ([entry.offset for entry in after.entries], after.truncated_by, after.has_before) == (
        [7, 8],
        "retention",
        False,
    )
    assert (await store.log.messages_after(conversation, 6, 10)).truncated_by is None


async def test_everything_may_go_but_the_newest_entry_and_then_it_ends(db: Database, store: Store) -> None:
    conversation = await old_group(store)
    await store.retention.trim(Outdated(conversation, AT + 2 * DAY), at=AT + 2 * DAY)
    assert await store.log.tail(conversation) == Position(9, 7)
    entries = (await store.log.range(conversation, 8, limit=10)).entries
    assert [entry.offset for entry in entries] == [9]
    await store.summaries.flush()
    assert await store.retention.trim(Outdated(conversation, AT + 4 * DAY), at=AT + 4 * DAY) == 0
    assert (await row_of(db, conversation))["oldest_at"] == AT + 4 * DAY
    assert "last_message" not in await row_of(db, conversation)
    (appended,) = await say(store, conversation, "bob", ["still here"], at=AT + 4 * DAY)
    assert appended.entry.position == Position(10, 8)


async def test_whoever_is_killed_after_the_log_was_told_leaves_nothing_for_good(
    db: Database, store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await old_group(store)

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store.retention, "_remove", killed)
    with pytest.raises(KeyboardInterrupt):
        await store.retention.trim(Outdated(conversation, AT + HOUR), at=AT + DAY)
    assert (await row_of(db, conversation))["oldest"] == 7
    assert await store.log.get(conversation, 1) is not None
    due = await other_store.retention.outdated(AT + DAY + 30 * DAY, default_s=30 * 86400, limit=10)
    assert [one.conversation for one in due] == [conversation]
    await other_store.retention.trim(Outdated(conversation, AT + HOUR), at=AT + DAY)
    first = await store.log.first(conversation)
    assert first is not None
    assert first.offset == 7
    assert await store.log.tail(conversation) == Position(9, 7)


async def test_two_workers_at_the_same_time_tell_it_once(store: Store, other_store: Store) -> None:
    conversation = await old_group(store)
    outdated = Outdated(conversation, AT + HOUR)
    await asyncio.gather(*(one.retention.trim(outdated, at=AT + DAY) for one in (store, other_store)))
    assert await store.log.tail(conversation) == Position(9, 7)


async def test_more_than_a_stretch_goes_stretch_by_stretch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRETCH", 4)
    conversation = await old_group(store, old=9)
    outdated = Outdated(conversation, AT + HOUR)
    assert [await store.retention.trim(outdated, at=AT + DAY) for _ in range(4)] == [4, 4, 2, 0]
    first = await store.log.first(conversation)
    assert first is not None
    assert first.body["text"] == "new 0"


async def test_pins_and_reactions_go_with_their_messages(db: Database, store: Store) -> None:
    conversation = await old_group(store)
    await db[CONVERSATIONS].update_one({"_id": conversation}, {"$set": {"pins": [2, 7]}})
    keys = [f"{log_key(conversation, offset)}|👍|bob" for offset in (2, 6, 7)]
    await db[REACTIONS].insert_many([{"_id": key} for key in keys])
    await store.retention.trim(Outdated(conversation, AT + HOUR), at=AT + DAY)
    assert (await row_of(db, conversation))["pins"] == [7]
    assert [row["_id"] async for row in db[REACTIONS].find({})] == keys[2:]


async def test_a_conversation_goes_by_its_own_retention_others_by_the_default(db: Database, store: Store) -> None:
    own, default, thread = [await old_group(store) for _ in range(3)]
    await db[CONVERSATIONS].update_one({"_id": own}, {"$set": {"settings.retention_s": 10 * 86400}})
    await db[CONVERSATIONS].update_one({"_id": thread}, {"$set": {"parent": own}})

    async def due(days: int, default_days: int) -> dict[str, int]:
        found = await store.retention.outdated(AT + days * DAY, default_s=default_days * 86400, limit=10)
        return {one.conversation: one.before for one in found}

    assert await due(9, 0) == {}
    assert await due(11, 0) == {own: AT + DAY, thread: AT + DAY}
    assert await due(9, 7) == {default: AT + 2 * DAY}
    assert set(await due(40, 30)) == {own, default, thread}
    assert len(await store.retention.outdated(AT + 40 * DAY, default_s=86400, limit=1)) == 1


async def test_nothing_is_due_at_its_very_second_nor_below_the_least_retention(db: Database, store: Store) -> None:
    conversation = await old_group(store)
    await db[CONVERSATIONS].update_one({"_id": conversation}, {"$set": {"settings.retention_s": 1}})
    least = MIN_RETENTION_S * 1000
    grain = least // 24
    assert await store.retention.outdated(AT + least + grain, default_s=0, limit=10) == []
    (due,) = await store.retention.outdated(AT + least + grain + 1, default_s=0, limit=10)
    assert due.before == AT + grain + 1


async def test_a_hub_that_knew_the_end_long_ago_does_not_write_where_entries_were(
    db: Database, store: Store, other_store: Store
) -> None:
    """What it knew is older than its memory by then (see Tails): it finds the end as if it were new."""
    conversation = await old_group(store, old=3, new=0)
    await say(other_store, conversation, "ada", ["known here"], at=AT)
    await say(store, conversation, "ada", ["a", "b", "c"], at=AT)
    await store.summaries.flush()
    await store.retention.trim(Outdated(conversation, AT + HOUR), at=AT + DAY)
    other_store.appender._lanes.age(asyncio.get_running_loop().time() + TAIL_AGE_S)
    (appended,) = await say(other_store, conversation, "bob", ["hello"], at=AT + DAY)
    assert appended.entry.offset == 10
    assert await db[MESSAGES].count_documents({"c": conversation}) == 2
