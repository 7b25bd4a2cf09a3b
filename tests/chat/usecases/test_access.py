"""Standings: looked up once, forgotten when the log says that something changed."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from chat.usecases.access import Access
from chat.usecases.freshness import USUAL_S
from chat.usecases.rights import Right
from realtime.protocol.codes import PERMISSION_DENIED, ClientError
from storage.model import ConversationKind, Role
from storage.mongo.client import connect
from storage.store import Store, open_store
from support.databases import laid_out


@pytest.fixture
async def store(mongodb_url, database_name):
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as store:
        yield store


@asynccontextmanager
async def conversation(store: Store):
    await store.users.ensure(["alice", "bob"], at=1)
    made = await store.conversations.create(
        kind=ConversationKind.GROUP, by="alice", members=[("alice", Role.OWNER), ("bob", Role.MEMBER)], at=1
    )
    yield made.conversation.id


async def test_everyone_who_looks_at_the_same_time_gets_the_same_standing(store):
    """Sends that were queued on one of several equal standings would else fail one another for ever."""
    access = Access(store, time.monotonic)
    async with conversation(store) as group:
        found = await asyncio.gather(*(access.require("alice", group, Right.SEND) for _ in range(20)))
        assert all(access.still("alice", group, standing) for standing in found)


async def test_a_membership_entry_makes_what_was_known_of_its_users_invalid(store):
    access = Access(store, time.monotonic)
    async with conversation(store) as group:
        alice = await access.require("alice", group, Right.SEND)
        bob = await access.require("bob", group, Right.SEND)
        removed = await store.members.remove(group, "bob", by="alice", at=2)
        access.examined(group, [removed.entry])
        assert access.still("alice", group, alice)
        assert not access.still("bob", group, bob)
        with pytest.raises(ClientError) as refused:
            await access.require("bob", group, Right.READ)
        assert refused.value.code is PERMISSION_DENIED


async def test_what_the_log_said_before_a_standing_was_looked_up_does_not_outdate_it(store):
    """A reader who catches up would else have everything decided anew that members have just queued."""
    access = Access(store, time.monotonic)
    async with conversation(store) as group:
        created = (await store.log.range(group, 0, limit=1)).entries
        alice = await access.require("alice", group, Right.SEND)
        access.examined(group, created)
        assert access.still("alice", group, alice)
        changed = await store.members.set_role(group, "alice", Role.MEMBER, by="alice", at=2)
        access.examined(group, [changed.entry])
        assert not access.still("alice", group, alice)


async def test_an_answer_that_was_overtaken_by_a_change_is_not_remembered(store):
    access = Access(store, time.monotonic)
    async with conversation(store) as group:
        looking = asyncio.create_task(access.require("bob", group, Right.SEND))
        await asyncio.sleep(0)
        access.forget(group, ["bob"])
        standing = await looking
        assert not access.still("bob", group, standing)


async def test_what_is_known_ends_by_itself_after_a_while(store):
    now = 0.0
    access = Access(store, lambda: now)
    async with conversation(store) as group:
        await access.require("alice", group, Right.SEND)
        assert access.cached("alice", group) is not None
        now = USUAL_S + 1
        assert access.cached("alice", group) is None


async def test_foreign_and_missing_conversations_are_refused_alike(store):
    access = Access(store, time.monotonic)
    async with conversation(store) as group:
        refusals = []
        for name in (group, "a" * 26):
            with pytest.raises(ClientError) as refused:
                await access.require("mallory", name, Right.READ)
            refusals.append(refused.value.message)
        assert refusals[0] == refusals[1]


async def test_beyond_its_bound_what_was_not_used_for_longest_is_asked_for_again(store, monkeypatch):
    monkeypatch.setattr("chat.usecases.access.MAX_STANDINGS", 3)
    access = Access(store, time.monotonic)
    users = [f"user{number}" for number in range(5)]
    async with conversation(store) as one, conversation(store) as large:
        await access.require("alice", one, Right.READ)
        await store.members.add(large, [(user, Role.MEMBER) for user in users], by="alice", at=2)
        for user in users[:3]:
            await access.require(user, large, Right.READ)
        assert access.cached("alice", one) is None
        assert all(access.cached(user, large) for user in users[:3])
        await access.require(users[3], large, Right.READ)
        assert [access.cached(user, large) is not None for user in users] == [False, True, True, True, False]
        access.forget(large, users)
        for user in users[:3]:
            await access.require(user, large, Right.READ)
        assert all(access.cached(user, large) for user in users[:3])
