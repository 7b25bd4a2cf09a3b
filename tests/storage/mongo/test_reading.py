"""Positions move forward only and count messages, not entries."""

import asyncio

import pytest

from storage.errors import NotFound, StorageError, Unavailable
from storage.model import ORIGIN, Marks, Member, Position
from storage.mongo.client import Database
from storage.mongo.schema import CONVERSATIONS
from storage.store import Store, open_store
from support.appending import Commands
from support.conversing import AT, a_group, say
from support.fail_points import failing


async def row(store: Store, conversation: str, user: str = "bob") -> Member:
    member = await store.members.get(conversation, user)
    assert member is not None
    return member


async def read(store: Store, conversation: str, user: str, offset: int) -> Position:
    return (await store.reading.mark(conversation, user, Marks(read=offset))).member.read


async def revision(store: Store, user: str) -> int:
    record = await store.users.get(user)
    return 0 if record is None else record.revision


async def test_a_mark_takes_the_count_of_messages_at_its_offset(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2"])
    await store.members.join(conversation, "cy", at=AT)
    await say(store, conversation, "ada", ["3"])
    positions = [await read(store, conversation, "bob", offset) for offset in (2, 3, 4, 5)]
    assert positions == [Position(2, 1), Position(3, 2), Position(4, 2), Position(5, 3)]


async def test_a_mark_never_moves_back(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2"])
    first = await store.reading.mark(conversation, "bob", Marks(read=3))
    second = await store.reading.mark(conversation, "bob", Marks(read=2))
    assert (first.read_moved, second.read_moved, second.changed) == (True, False, False)
    assert second.member == first.member


async def test_a_mark_beyond_the_end_means_the_end(store: Store, other_store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1"])
    assert await read(other_store, conversation, "bob", 10**9) == Position(2, 1)


async def test_a_mark_of_who_is_no_member_is_refused(store: Store) -> None:
    conversation = (await a_group(store)).id
    await store.members.leave(conversation, "bob", at=AT)
    for user in ("bob", "stranger"):
        with pytest.raises(NotFound):
            await read(store, conversation, user, 1)
    with pytest.raises(NotFound):
        await read(store, "z" * 26, "ada", 1)


async def test_what_is_read_is_received_and_receiving_is_no_news_to_ones_own_devices(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2", "3"])
    before = await revision(store, "bob")
    received = await store.reading.mark(conversation, "bob", Marks(delivered=3))
    assert (received.delivered_moved, received.private) == (True, False)
    assert (await row(store, conversation)).delivered == Position(3, 2)
    assert await revision(store, "bob") == before
    marked = await store.reading.mark(conversation, "bob", Marks(read=4))
    assert (marked.read_moved, marked.delivered_moved) == (True, False)
    assert await row(store, conversation) == marked.member
    assert marked.member.delivered == Position(4, 3)
    assert marked.member.revision == before + 1
    late = await store.reading.mark(conversation, "bob", Marks(delivered=2))
    assert not late.changed
    assert late.member.delivered == Position(4, 3)


async def test_receiving_is_never_behind_what_a_sender_has_read_by_sending(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "bob", ["1", "2"])
    await store.summaries.flush()
    marked = await store.reading.mark(conversation, "bob", Marks(delivered=1))
    assert marked.member.delivered == marked.member.read == Position(3, 2)


async def test_a_conversation_is_marked_as_unread_until_it_is_read_up_to_there(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2", "3"])
    first = await store.reading.mark(conversation, "bob", Marks(read=4))
    unread = await store.reading.mark(conversation, "bob", Marks(unread_from=3))
    assert unread.unread_changed
    assert not unread.read_moved
    member = await row(store, conversation)
    assert (member.unread_from, member.read) == (3, Position(4, 3))
    assert member.revision == first.member.revision + 1
    await store.reading.mark(conversation, "bob", Marks(read=2))
    assert (await row(store, conversation)).unread_from == 3
    again = await store.reading.mark(conversation, "bob", Marks(read=4))
    assert again.unread_changed
    assert (await row(store, conversation)).unread_from is None
    assert (await store.inbox.changes("bob", member.revision)).members == [await row(store, conversation)]


async def test_who_comes_back_starts_anew(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2", "3"])
    await store.reading.mark(conversation, "bob", Marks(delivered=4, unread_from=2))
    await store.members.leave(conversation, "bob", at=AT)
    await store.members.join(conversation, "bob", at=AT)
    member = await row(store, conversation)
    assert (member.unread_from, member.read) == (None, Position(6, 3))


async def test_marks_that_come_together_all_count_and_each_is_answered(store: Store) -> None:
    users = [f"user{i}" for i in range(30)]
    conversation = (await a_group(store, ["ada", *users])).id
    await say(store, conversation, "ada", ["1", "2", "3"])
    marks = await asyncio.gather(
        *(read(store, conversation, user, offset) for user in users for offset in (2, 4, 3)),
        read(store, conversation, "stranger", 2),
        return_exceptions=True,
    )
    assert isinstance(marks.pop(), NotFound)
    assert not any(isinstance(mark, BaseException) for mark in marks)
    for user in users:
        assert (await row(store, conversation, user)).read == Position(4, 3)


async def test_marks_of_two_processes_do_not_undo_each_other(store: Store, other_store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", [str(i) for i in range(20)])
    both = (store, other_store)
    await asyncio.gather(*(read(both[i % 2], conversation, "bob", i) for i in range(2, 22)))
    assert (await row(store, conversation)).read == Position(21, 20)


async def test_leaving_finishes_marks_and_refuses_new_ones(mongodb_url: str, db: Database) -> None:
    async with open_store(mongodb_url, db.name) as store:
        conversation = (await a_group(store)).id
        mark = asyncio.create_task(read(store, conversation, "bob", 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await mark == Position(1, 0)
    with pytest.raises(Unavailable):
        await read(store, conversation, "bob", 1)


async def test_marks_of_nothing_leave_everything(store: Store) -> None:
    conversation = (await a_group(store)).id
    outcome = await store.reading.mark(conversation, "bob", Marks())
    assert not outcome.changed
    assert outcome.member.delivered == outcome.member.read != ORIGIN


async def test_a_mark_that_fails_half_way_leaves_neither_half(mongodb_url: str, db: Database, store: Store) -> None:
    """The revision is counted before the row is written: whoever dies in between has done nothing."""
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1"])
    before, at_first = await revision(store, "bob"), await row(store, conversation)
    async with open_store(mongodb_url, db.name, app_name="fails") as dying:
        async with failing(mongodb_url, "fails", ["commitTransaction"], times=2, errorCode=11601):
            with pytest.raises(StorageError):
                await dying.reading.mark(conversation, "bob", Marks(read=2, unread_from=1))
        assert await revision(store, "bob") == before
        assert await row(store, conversation) == at_first
        await dying.reading.mark(conversation, "bob", Marks(read=2, unread_from=1))
    after = await row(store, conversation)
    assert (after.read, after.unread_from, after.revision) == (Position(2, 1), 1, before + 1)
    assert await revision(store, "bob") == before + 1


async def test_a_mark_tells_where_the_log_begins_and_ends(db: Database, store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2", "3"])
    marked = await store.reading.mark(conversation, "bob", Marks(read=1), counted=True)
    assert (marked.floor, marked.head) == (ORIGIN, Position(4, 3))
    await db[CONVERSATIONS].update_one({"_id": conversation}, {"$set": {"oldest": 4, "oldest_n": 2}})
    marked = await store.reading.mark(conversation, "bob", Marks(read=1), counted=True)
    assert (marked.floor, marked.head) == (Position(3, 2), Position(4, 3))


async def test_what_many_members_read_together_is_looked_up_once(mongodb_url: str, db: Database) -> None:
    users = [f"user{i}" for i in range(30)]
    commands = Commands()
    async with open_store(mongodb_url, db.name) as writer:
        conversation = (await a_group(writer, ["ada", *users])).id
        await say(writer, conversation, "ada", ["1", "2", "3"])
    async with open_store(mongodb_url, db.name, listeners=[commands]) as store:
        commands.names.clear()
        marks = [store.reading.mark(conversation, user, Marks(read=3), counted=True) for user in users]
        assert {(one.member.read, one.head) for one in await asyncio.gather(*marks)} == {
            (Position(3, 2), Position(4, 3))
        }
    # Where the offset is, the rows, the revisions of the users, the conversation, the end of its log.
    assert commands.names.count("find") == 5
