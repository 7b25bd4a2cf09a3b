"""Read positions move forward only and count messages, not entries."""

import asyncio

import pytest

from storage.errors import NotFound, Unavailable
from storage.model import Position
from storage.mongo.client import Database
from storage.store import Store, open_store
from support.conversing import AT, a_group, say


async def test_a_mark_takes_the_count_of_messages_at_its_offset(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2"])
    await store.members.join(conversation, "cy", at=AT)
    await say(store, conversation, "ada", ["3"])
    positions = [(await store.reading.mark_read(conversation, "bob", offset)).position for offset in (2, 3, 4, 5)]
    assert positions == [Position(2, 1), Position(3, 2), Position(4, 2), Position(5, 3)]


async def test_a_mark_never_moves_back(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2"])
    first = await store.reading.mark_read(conversation, "bob", 3)
    second = await store.reading.mark_read(conversation, "bob", 2)
    assert (first.moved, second.moved) == (True, False)
    assert (second.position, second.revision) == (first.position, first.revision)


async def test_a_mark_beyond_the_end_means_the_end(store: Store, other_store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1"])
    mark = await other_store.reading.mark_read(conversation, "bob", 10**9)
    assert mark.position == Position(2, 1)


async def test_a_mark_of_who_is_no_member_is_refused(store: Store) -> None:
    conversation = (await a_group(store)).id
    await store.members.leave(conversation, "bob", at=AT)
    for user in ("bob", "stranger"):
        with pytest.raises(NotFound):
            await store.reading.mark_read(conversation, user, 1)
    with pytest.raises(NotFound):
        await store.reading.mark_read("z" * 26, "ada", 1)


async def test_marks_that_come_together_all_count_and_each_is_answered(store: Store) -> None:
    users = [f"user{i}" for i in range(30)]
    conversation = (await a_group(store, ["ada", *users])).id
    await say(store, conversation, "ada", ["1", "2", "3"])
    marks = await asyncio.gather(
        *(store.reading.mark_read(conversation, user, offset) for user in users for offset in (2, 4, 3)),
        store.reading.mark_read(conversation, "stranger", 2),
        return_exceptions=True,
    )
    assert isinstance(marks.pop(), NotFound)
    assert not any(isinstance(mark, BaseException) for mark in marks)
    for user in users:
        member = await store.members.get(conversation, user)
        assert member is not None
        assert member.read == Position(4, 3)


async def test_marks_of_two_processes_do_not_undo_each_other(store: Store, other_store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", [str(i) for i in range(20)])
    both = (store, other_store)
    await asyncio.gather(*(both[i % 2].reading.mark_read(conversation, "bob", i) for i in range(2, 22)))
    member = await store.members.get(conversation, "bob")
    assert member is not None
    assert member.read == Position(21, 20)


async def test_leaving_finishes_marks_and_refuses_new_ones(mongodb_url: str, db: Database) -> None:
    async with open_store(mongodb_url, db.name) as store:
        conversation = (await a_group(store)).id
        mark = asyncio.create_task(store.reading.mark_read(conversation, "bob", 1))
        await asyncio.sleep(0)
    assert (await mark).position == Position(1, 0)
    with pytest.raises(Unavailable):
        await store.reading.mark_read(conversation, "bob", 1)
