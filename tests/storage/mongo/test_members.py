"""Membership changes are entries with their rows: both or neither, counted once, told to the user's devices."""

import asyncio

import pytest

from storage.errors import Banned, Conflict, Invalid, NotFound, PreconditionFailed
from storage.model import ConversationKind, EntryKind, Position, Role
from storage.model.marks import Marks
from storage.mongo.client import Database
from storage.store import Store
from support.appending import whole_log
from support.conversing import AT, a_group, say

MEMBER = Role.MEMBER


async def live_users(store: Store, conversation: str) -> list[str]:
    return [member.user for member in await store.members.page(conversation, limit=100)]


async def test_adding_names_those_who_were_no_members(store: Store, db: Database) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    wanted = [("bob", MEMBER), ("cy", MEMBER), ("dan", Role.READER)]
    appended = await store.members.add(conversation.id, wanted, by="ada", at=AT)
    assert appended is not None
    assert appended.entry.body == {"members": [{"user": "cy", "role": "member"}, {"user": "dan", "role": "reader"}]}
    assert await live_users(store, conversation.id) == ["ada", "bob", "cy", "dan"]
    assert await store.members.count(conversation.id) == 4
    assert await store.members.add(conversation.id, wanted, by="ada", at=AT) is None
    assert len(await whole_log(db, conversation.id)) == 2


async def test_what_was_said_before_is_not_unread_for_who_joins(store: Store) -> None:
    conversation = await a_group(store)
    await say(store, conversation.id, "ada", ["1", "2"])
    await store.members.join(conversation.id, "cy", at=AT)
    cy = await store.members.get(conversation.id, "cy")
    assert cy is not None
    assert (cy.joined_offset, cy.read) == (4, Position(4, 2))


async def test_who_leaves_is_gone_but_leaves_a_row(store: Store, db: Database) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    appended = await store.members.leave(conversation.id, "bob", at=AT + 9)
    assert appended is not None
    assert (appended.entry.kind, appended.entry.body) == (EntryKind.MEMBER_LEFT, {"user": "bob"})
    bob = await store.members.get(conversation.id, "bob")
    assert bob is not None
    assert (bob.live, bob.left_at) == (False, AT + 9)
    assert await live_users(store, conversation.id) == ["ada"]
    assert await store.members.count(conversation.id) == 1
    assert await store.members.of_user("bob", 10) == []
    assert await store.members.leave(conversation.id, "bob", at=AT) is None
    assert len(await whole_log(db, conversation.id)) == 2


async def test_who_comes_back_is_a_member_again(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    await store.members.leave(conversation.id, "bob", at=AT)
    await store.members.join(conversation.id, "bob", at=AT + 1)
    bob = await store.members.get(conversation.id, "bob")
    assert bob is not None
    assert (bob.live, bob.joined_offset, bob.joined_at) == (True, 3, AT + 1)
    assert await store.members.count(conversation.id) == 2


async def test_a_banned_user_stays_out_until_the_ban_is_lifted(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    await store.members.ban(conversation.id, "bob", by="ada", at=AT)
    assert await store.members.keep_out(conversation.id, "stranger", at=AT)
    assert not await store.members.keep_out(conversation.id, "ada", at=AT)
    for user in ("bob", "stranger"):
        with pytest.raises(Conflict, match="banned"):
            await store.members.join(conversation.id, user, at=AT)
    assert await store.members.unban(conversation.id, "bob")
    assert not await store.members.unban(conversation.id, "bob")
    assert await store.members.join(conversation.id, "bob", at=AT) is not None
    assert await live_users(store, conversation.id) == ["ada", "bob"]


async def test_a_role_changes_with_an_entry(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    appended = await store.members.set_role(conversation.id, "bob", Role.ADMIN, by="ada", at=AT)
    assert appended is not None
    assert appended.entry.body == {"user": "bob", "role": "admin"}
    assert await store.members.set_role(conversation.id, "bob", Role.ADMIN, by="ada", at=AT) is None
    with pytest.raises(NotFound):
        await store.members.set_role(conversation.id, "cy", Role.ADMIN, by="ada", at=AT)


async def test_what_is_refused_leaves_nothing_behind(store: Store, db: Database) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    with pytest.raises(PreconditionFailed):
        await store.members.add(conversation.id, [("cy", MEMBER)], by="ada", at=AT, check=lambda: False)
    with pytest.raises(NotFound):
        await store.members.add("z" * 26, [("cy", MEMBER)], by="ada", at=AT)
    with pytest.raises(Invalid):
        await store.members.add(conversation.id, [], by="ada", at=AT)
    assert await store.members.get(conversation.id, "cy") is None
    assert await store.users.get("cy") is None
    assert len(await whole_log(db, conversation.id)) == 1
    assert await whole_log(db, "z" * 26) == []


async def test_the_count_is_right_whoever_races(store: Store, other_store: Store, db: Database) -> None:
    conversation = await a_group(store, ["ada"])
    users = [f"user{i}" for i in range(8)]
    await asyncio.gather(
        *(one.members.join(conversation.id, user, at=AT) for one in (store, other_store) for user in users)
    )
    await asyncio.gather(
        *(one.members.leave(conversation.id, user, at=AT) for one in (store, other_store) for user in users[:3])
    )
    assert await store.members.count(conversation.id) == 6
    assert await live_users(store, conversation.id) == ["ada", *users[3:]]
    entries = await whole_log(db, conversation.id)
    assert [entry.kind for entry in entries].count(EntryKind.MEMBER_LEFT) == 3
    assert [entry.kind for entry in entries].count(EntryKind.MEMBER_JOINED) == 9


async def test_pages_of_members_are_of_that_conversation_only_and_complete(store: Store) -> None:
    users = [f"user{i:03}" for i in range(25)]
    conversation = await a_group(store, users)
    await a_group(store, ["zoe", "user003"])
    await store.members.leave(conversation.id, "user007", at=AT)
    seen: list[str] = []
    while page := await store.members.page(conversation.id, after=seen[-1] if seen else "", limit=10):
        seen += [member.user for member in page]
    assert seen == [user for user in users if user != "user007"]


async def test_an_owned_conversation_keeps_an_owner(store: Store, other_store: Store) -> None:
    owners = [("alice", Role.OWNER), ("bob", Role.OWNER), ("carol", Role.MEMBER)]
    made = await store.conversations.create(kind=ConversationKind.GROUP, by="alice", members=owners, at=1)
    conversation = made.conversation.id
    left = await asyncio.gather(
        store.members.leave(conversation, "alice", at=2, owned=True),
        other_store.members.set_role(conversation, "bob", Role.MEMBER, by="bob", at=2, owned=True),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in left) == 1
    page = await store.members.page(conversation, limit=10)
    assert [member.role for member in page].count(Role.OWNER) == 1
    last = next(member.user for member in page if member.role is Role.OWNER)
    for member in page:
        if member.user != last:
            await store.members.remove(conversation, member.user, by=last, at=3, owned=True)
    assert await store.members.leave(conversation, last, at=4, owned=True) is not None
    assert await store.members.count(conversation) == 0


async def test_a_ban_ends_by_itself_and_coming_back_ends_it_for_good(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    banned = await store.members.ban(conversation.id, "bob", by="ada", at=AT, until=AT + 10)
    assert banned is not None
    assert banned.entry.body == {"user": "bob", "banned": True}
    assert [one.user for one in await store.members.bans(conversation.id, at=AT + 9, limit=10)] == ["bob"]
    assert await store.members.bans(conversation.id, at=AT + 10, limit=10) == []
    with pytest.raises(Banned):
        await store.members.join(conversation.id, "bob", at=AT + 9)
    assert await store.members.join(conversation.id, "bob", at=AT + 10) is not None
    bob = await store.members.get(conversation.id, "bob")
    assert bob is not None
    assert (bob.banned_at, bob.banned_until) == (None, None)


async def test_nobody_is_banned_and_a_member_whoever_races(store: Store, other_store: Store) -> None:
    """Kept out as a stranger, or came in first: never both."""
    conversation = await a_group(store, ["ada"])
    for number in range(6):
        user = f"user{number}"
        kept_out, joined = await asyncio.gather(
            store.members.keep_out(conversation.id, user, at=AT),
            other_store.members.join(conversation.id, user, at=AT),
            return_exceptions=True,
        )
        row = await store.members.get(conversation.id, user)
        assert row is not None
        assert row.live is not (row.banned_at is not None)
        assert (kept_out is True) is (row.banned_at is not None)
        assert isinstance(joined, Banned) is (row.banned_at is not None)


async def test_many_are_added_while_they_read_elsewhere(store: Store, other_store: Store) -> None:
    """Both count private changes of the same users: neither must starve the other."""
    users = [f"user{number:03}" for number in range(200)]
    there = await a_group(store, ["ada", *users])
    await say(store, there.id, "ada", [str(number) for number in range(40)])
    here = await a_group(store, ["ada"])
    adding = asyncio.create_task(store.members.add(here.id, [(user, MEMBER) for user in users], by="ada", at=AT))
    marks = 0
    for offset in range(2, 40):
        await asyncio.gather(
            *(other_store.reading.mark(there.id, user, Marks(read=offset)) for user in users[offset::40])
        )
        marks += 1
        if adding.done():
            break
    assert await adding is not None
    assert marks
    assert await store.members.count(here.id) == 201


async def test_a_mute_is_told_with_the_role_and_a_role_with_the_mute(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    muted = await store.members.mute(conversation.id, "bob", 2**47, by="ada", at=AT)
    assert muted is not None
    assert muted.entry.body == {"user": "bob", "role": "member", "muted_until": 2**47}
    assert await store.members.mute(conversation.id, "bob", 2**47, by="ada", at=AT) is None
    promoted = await store.members.set_role(conversation.id, "bob", Role.ADMIN, by="ada", at=AT)
    assert promoted is not None
    assert promoted.entry.body == {"user": "bob", "role": "admin", "muted_until": 2**47}
    unmuted = await store.members.mute(conversation.id, "bob", None, by="ada", at=AT)
    assert unmuted is not None
    assert unmuted.entry.body == {"user": "bob", "role": "admin"}
    assert await store.members.mute(conversation.id, "bob", None, by="ada", at=AT) is None
    with pytest.raises(NotFound):
        await store.members.mute(conversation.id, "cy", None, by="ada", at=AT)
