"""Reactions: the row is the acknowledgement, and the counts follow it exactly."""

import asyncio
import time
from itertools import pairwise

import pytest

from storage.errors import Conflict, LimitReached, NotFound
from storage.model import Change, EntryKind, NewEntry
from storage.mongo.client import Database
from storage.mongo.reactions import MAX_DIFFERENT, MAX_OWN
from storage.mongo.schema import DUE, REACTIONS
from storage.store import Store
from support.appending import whole_log
from support.conversing import AT, a_group, say
from support.waiting import eventually


@pytest.fixture
async def message(store: Store) -> tuple[str, int]:
    """Where there is a message of ada's."""
    group = await a_group(store)
    said = await say(store, group.id, "ada", ["hello"])
    return group.id, said[0].entry.offset


async def told(db: Database, store: Store, message: tuple[str, int]) -> dict[str, int]:
    """The counts in the message's row, when nothing is due any more. The log agrees."""

    async def settled() -> bool:
        return await db[DUE].count_documents({}) == 0

    await eventually(settled)
    entry = await store.log.get(*message)
    assert entry is not None
    counts = dict(entry.body.get("reactions", {}))
    entries = await whole_log(db, message[0])
    changed = [
        one.body for one in entries if one.kind is EntryKind.REACTION_CHANGED and one.body["target"] == message[1]
    ]
    assert (changed[-1]["reactions"] if changed else {}) == counts
    rows = await db[REACTIONS].find({}).to_list(None)
    found: dict[str, int] = {}
    for row in rows:
        reaction = row["_id"].split("|")[1]
        found[reaction] = found.get(reaction, 0) + 1
    assert found == counts
    return counts


async def told_at(db: Database, message: tuple[str, int]) -> list[int]:
    """When the log was told of reactions."""
    return [entry.at for entry in await whole_log(db, message[0]) if entry.kind is EntryKind.REACTION_CHANGED]


async def test_adding_and_removing_is_idempotent_and_answers_with_what_holds_now(
    db: Database, store: Store, message: tuple[str, int]
) -> None:
    first = await store.reactions.add(*message, "ada", "👍", at=AT)
    again = await store.reactions.add(*message, "ada", "👍", at=AT)
    assert first == again
    assert (first.counts, first.own) == ({"👍": 1}, ("👍",))
    both = await store.reactions.add(*message, "bob", "👍", at=AT)
    assert (both.counts, both.own) == ({"👍": 2}, ("👍",))
    assert await told(db, store, message) == {"👍": 2}
    for _ in range(2):
        gone = await store.reactions.remove(*message, "bob", "👍", at=AT)
        assert (gone.counts, gone.own) == ({"👍": 1}, ())
    assert await told(db, store, message) == {"👍": 1}
    await store.reactions.remove(*message, "ada", "👍", at=AT)
    assert await told(db, store, message) == {}


async def test_what_is_taken_back_before_the_log_heard_of_it_leaves_no_entry(
    db: Database, store: Store, message: tuple[str, int]
) -> None:
    await asyncio.gather(
        store.reactions.add(*message, "ada", ":tada:", at=AT), store.reactions.remove(*message, "ada", ":tada:", at=AT)
    )
    assert await told(db, store, message) == {}
    assert len(await whole_log(db, message[0])) == message[1]


async def test_there_is_a_limit_to_different_reactions_of_one_user(store: Store, message: tuple[str, int]) -> None:
    for number in range(MAX_OWN):
        await store.reactions.add(*message, "ada", f":n{number}:", at=AT)
    with pytest.raises(LimitReached):
        await store.reactions.add(*message, "ada", ":more:", at=AT)
    await store.reactions.add(*message, "bob", ":more:", at=AT)
    await store.reactions.remove(*message, "ada", ":n0:", at=AT)
    seen = await store.reactions.add(*message, "ada", ":more:", at=AT)
    assert len(seen.own) == MAX_OWN
    assert seen.counts[":more:"] == 2


async def test_there_is_a_limit_to_different_reactions_to_one_message(store: Store, message: tuple[str, int]) -> None:
    for number in range(MAX_DIFFERENT):
        await store.reactions.add(*message, f"user{number}", f":n{number}:", at=AT)
    with pytest.raises(LimitReached):
        await store.reactions.add(*message, "ada", ":more:", at=AT)
    seen = await store.reactions.add(*message, "ada", ":n7:", at=AT)
    assert seen.counts[":n7:"] == 2


async def test_one_refused_wish_does_not_refuse_those_that_came_with_it(store: Store, message: tuple[str, int]) -> None:
    wishes = [store.reactions.add(*message, "ada", f":n{number}:", at=AT) for number in range(MAX_OWN + 3)]
    outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 3


async def test_who_reacted_is_paged_by_reaction_and_by_user(store: Store, message: tuple[str, int]) -> None:
    users = [f"user{number:02}" for number in range(10)]
    await asyncio.gather(*(store.reactions.add(*message, user, "b", at=AT) for user in users))
    await store.reactions.add(*message, "a|strange|user", "a", at=AT)
    await store.reactions.add(*message, "zoe", "bb", at=AT)
    everything = await store.reactions.page(*message, limit=50)
    assert [(one.reaction, one.user) for one in everything] == [
        ("a", "a|strange|user"),
        ("bb", "zoe"),
        *[("b", user) for user in users],
    ]
    paged, after = [], ""
    while page := await store.reactions.page(*message, reaction="b", after=after, limit=3):
        paged += [one.user for one in page]
        after = f"b|{page[-1].user}"
    assert paged == users


async def test_there_has_to_be_a_message(store: Store, message: tuple[str, int]) -> None:
    for offset in (1, 99):
        with pytest.raises(NotFound):
            await store.reactions.add(message[0], offset, "ada", "x", at=AT)


async def test_reactions_to_a_deleted_message_are_erased(db: Database, store: Store, message: tuple[str, int]) -> None:
    await asyncio.gather(*(store.reactions.add(*message, f"user{number}", "x", at=AT) for number in range(30)))
    new = NewEntry(message[0], EntryKind.MESSAGE_DELETED, "ada", AT, None, {})
    await store.amending.amend(new, message[1], lambda _m, _e: Change({"target": message[1]}, {"deleted_at": AT}))
    with pytest.raises(Conflict):
        await store.reactions.add(*message, "bob", "x", at=AT)

    async def erased() -> bool:
        return await db[REACTIONS].count_documents({}) == 0 and await db[DUE].count_documents({}) == 0

    await eventually(erased)


async def test_two_hundred_at_once_on_two_hubs_are_a_few_entries(
    db: Database, store: Store, other_store: Store, message: tuple[str, int]
) -> None:
    answers = await asyncio.gather(
        *(
            (store, other_store)[number % 2].reactions.add(*message, f"user{number}", "🎉", at=AT)
            for number in range(200)
        )
    )
    assert all(answer.own == ("🎉",) for answer in answers)
    assert all(answer.counts["🎉"] >= 1 for answer in answers)
    assert await told(db, store, message) == {"🎉": 200}
    # Each hub has done its hundred together, so there was not even a second entry to wait for, as a rule.
    assert len(await told_at(db, message)) < 20


async def test_the_log_is_told_at_most_once_a_second_whoever_reacts_where(
    db: Database, store: Store, other_store: Store, message: tuple[str, int]
) -> None:
    started, number = time.monotonic(), 0
    while time.monotonic() - started < 2.5:
        number += 1
        await (store, other_store)[number % 2].reactions.add(*message, f"user{number}", "x", at=AT)
    assert await told(db, store, message) == {"x": number}
    assert all(later - earlier >= 1000 for earlier, later in pairwise(await told_at(db, message)))
