"""Conversations are made once, whoever asks and how often; changes of them are entries of their log."""

import asyncio

import pytest

from storage.errors import Conflict, Invalid, NotFound, PreconditionFailed
from storage.model import ConversationKind, EntryKind, Position, Role, ids
from storage.mongo.client import Database
from storage.store import Store
from support.appending import whole_log
from support.conversing import AT, a_group, say

GROUP, DIRECT = ConversationKind.GROUP, ConversationKind.DIRECT
ADA = [("ada", Role.OWNER)]
BOTH = [("ada", Role.MEMBER), ("bob", Role.MEMBER)]


async def test_a_conversation_comes_back_as_it_was_made(store: Store) -> None:
    created = await store.conversations.create(
        kind=GROUP, by="ada", members=ADA, at=AT, title="Title", custom={"$a.b": [1, None]}, external_id="x"
    )
    conversation = created.conversation
    assert not created.duplicate
    assert await store.conversations.get(conversation.id) == conversation
    assert await store.conversations.by_external_id("x") == conversation
    assert await store.conversations.get_many([conversation.id, "unknown"]) == {conversation.id: conversation}
    assert (conversation.title, conversation.custom, conversation.members_count) == ("Title", {"$a.b": [1, None]}, 1)
    assert conversation.head == Position(1, 0)


async def test_the_log_begins_with_the_members(store: Store, db: Database) -> None:
    created = await store.conversations.create(kind=GROUP, by="ada", members=[*ADA, ("bob", Role.READER)], at=AT)
    (entry,) = await whole_log(db, created.conversation.id)
    assert entry == created.entry
    assert (entry.kind, entry.by, entry.at) == (EntryKind.MEMBER_JOINED, "ada", AT)
    assert entry.body == {"members": [{"user": "ada", "role": "owner"}, {"user": "bob", "role": "reader"}]}


async def test_the_members_have_rows_and_exist_as_users(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    bob = await store.members.get(conversation.id, "bob")
    assert bob is not None
    assert (bob.role, bob.live, bob.joined_offset, bob.read) == (Role.MEMBER, True, 1, Position(1, 0))
    assert set(await store.users.get_many(["ada", "bob", "cy"])) == {"ada", "bob"}


async def test_the_first_entry_is_told_before_the_creator_knows(store: Store) -> None:
    told: list[str] = []
    store.appender.on_committed = lambda run: told.extend(one.entry.conversation for one in run)
    assert (await a_group(store)).id in told


async def test_a_direct_conversation_is_one_for_both_users_at_all_processes(
    store: Store, other_store: Store, db: Database
) -> None:
    created = await asyncio.gather(
        *(
            one.conversations.create(kind=DIRECT, by=by, members=BOTH, at=AT)
            for one in (store, other_store, store)
            for by in ("ada", "bob")
        )
    )
    assert {one.conversation.id for one in created} == {ids.direct_id("ada", "bob")}
    assert [one.duplicate for one in created].count(False) == 1
    assert created[0].conversation.peers == ("ada", "bob")
    assert len(await whole_log(db, created[0].conversation.id)) == 1


@pytest.mark.parametrize("handle", [{"external_id": "x"}, {"idempotency_key": "k"}])
async def test_whoever_repeats_a_creation_gets_the_same_conversation(
    store: Store, other_store: Store, handle: dict[str, str]
) -> None:
    created = await asyncio.gather(
        *(
            one.conversations.create(kind=GROUP, by="ada", members=ADA, at=AT, **handle)
            for one in (store, other_store)
            for _ in range(3)
        )
    )
    later = await store.conversations.create(kind=GROUP, by="ada", members=ADA, at=AT + 1, title="other", **handle)
    assert {one.conversation.id for one in (*created, later)} == {later.conversation.id}
    assert [one.duplicate for one in created].count(False) == 1
    assert later.duplicate
    assert later.conversation.title == ""


async def test_an_idempotency_key_is_its_creators_own(store: Store) -> None:
    one = await store.conversations.create(kind=GROUP, by="ada", members=ADA, at=AT, idempotency_key="k")
    two = await store.conversations.create(kind=GROUP, by="bob", members=ADA, at=AT, idempotency_key="k")
    assert one.conversation.id != two.conversation.id


async def test_what_contradicts_itself_or_the_store_is_refused(store: Store) -> None:
    create = store.conversations.create
    await create(kind=GROUP, by="ada", members=ADA, at=AT, external_id="x")
    with pytest.raises(Conflict):
        await create(kind=ConversationKind.CHANNEL, by="ada", members=ADA, at=AT, external_id="x")
    with pytest.raises(Invalid):
        await create(kind=DIRECT, by="ada", members=ADA, at=AT)
    with pytest.raises(Invalid):
        await create(kind=GROUP, by="ada", members=[], at=AT)
    with pytest.raises(Invalid):
        await create(kind=GROUP, by="ada", members=ADA, at=AT, custom={"a": object()})
    with pytest.raises(Invalid):
        await create(kind=GROUP, by="ada", members=ADA, at=AT, title="\ud800")


async def test_an_update_is_an_entry_with_what_it_changed(store: Store, db: Database) -> None:
    conversation = await a_group(store)
    update = store.conversations.update
    appended = await update(conversation.id, by="ada", at=AT + 5, title="New", custom={})
    assert appended is not None
    assert (appended.entry.kind, appended.entry.body) == (EntryKind.CONVERSATION_UPDATED, {"title": "New"})
    assert await update(conversation.id, by="ada", at=AT + 6, title="New") is None
    await update(conversation.id, by="ada", at=AT + 7, custom={"a": 1})
    changed = await store.conversations.get(conversation.id)
    assert changed is not None
    assert (changed.title, changed.custom, changed.updated_at) == ("New", {"a": 1}, AT + 7)
    assert len(await whole_log(db, conversation.id)) == 3


async def test_an_update_that_may_not_be_changes_nothing(store: Store, db: Database) -> None:
    conversation = await a_group(store)
    with pytest.raises(NotFound):
        await store.conversations.update("z" * 26, by="ada", at=AT, title="New")
    with pytest.raises(PreconditionFailed):
        await store.conversations.update(conversation.id, by="ada", at=AT, title="New", check=lambda: False)
    assert await store.conversations.get(conversation.id) == conversation
    assert len(await whole_log(db, conversation.id)) == 1


async def test_what_moved_since_is_found_in_order_and_page_by_page(store: Store) -> None:
    conversations = [await a_group(store) for _ in range(5)]
    begin = await store.conversations.server_time()
    for conversation in conversations[:4]:
        await say(store, conversation.id, "ada", ["hello"])
        await store.summaries.flush()
    found = await store.conversations.changed_since(begin - 1000)
    assert [one.conversation for one in found if one.head == Position(2, 1)] == [one.id for one in conversations[:4]]
    paged, at, after = [], begin - 1000, ""
    while page := await store.conversations.changed_since(at, after=after, limit=2):
        paged += page
        at, after = page[-1].at, page[-1].conversation
    assert paged == found
    assert await store.conversations.changed_since(found[-1].at + 1) == []


async def test_heads_are_read_for_many_at_once(store: Store) -> None:
    conversations = [await a_group(store) for _ in range(3)]
    heads = await store.conversations.heads([one.id for one in conversations] + ["unknown"])
    assert heads == {one.id: Position(1, 0) for one in conversations}
