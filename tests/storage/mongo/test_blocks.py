"""Blocks and preferences: private rows, each with the user's revision, both or neither."""

import asyncio

import pytest

from storage.errors import LimitReached, NotFound
from storage.model import Preferences
from storage.mongo import blocks
from storage.store import Store
from support.conversing import AT, a_group


async def revision(store: Store, user: str) -> int:
    found = await store.users.get(user)
    return 0 if found is None else found.revision


async def test_what_changed_is_found_by_revision_ended_blocks_too(store: Store) -> None:
    await store.blocks.block("ada", "bob", at=AT)
    await store.blocks.block("ada", "cy", at=AT + 1)
    await store.blocks.unblock("ada", "bob", at=AT + 2)
    changes = await store.blocks.changes("ada", 0, limit=10)
    assert [(one.blocked, one.revision, one.ended_at) for one in changes] == [("cy", 2, None), ("bob", 3, AT + 2)]
    assert [one.blocked for one in await store.blocks.changes("ada", 2, limit=10)] == ["bob"]
    assert await store.blocks.of_users(["ada", "bob"]) == {"ada": frozenset({"cy"}), "bob": frozenset()}
    await store.blocks.block("ada", "bob", at=AT + 3)
    assert [(one.blocked, one.ended_at) for one in await store.blocks.page("ada", limit=10)] == [
        ("bob", None),
        ("cy", None),
    ]


async def test_of_many_at_once_one_blocks_and_counts(store: Store, other_store: Store) -> None:
    both = (store, other_store)
    done = await asyncio.gather(*(both[n % 2].blocks.block("ada", "bob", at=AT) for n in range(6)))
    assert sum(done) == 1
    assert await revision(store, "ada") == 1


async def test_the_bound_holds_whoever_races(store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_BLOCKED", 3)
    both = (store, other_store)
    done = await asyncio.gather(
        *(both[n % 2].blocks.block("ada", f"user{n}", at=AT) for n in range(6)), return_exceptions=True
    )
    assert sum(one is True for one in done) == 3
    assert sum(isinstance(one, LimitReached) for one in done) == 3
    assert len(await store.blocks.page("ada", limit=10)) == 3


async def test_preferences_change_with_the_users_revision_or_not_at_all(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    before = await revision(store, "bob")
    wanted = Preferences(archived_at=AT, muted_until=2**47)
    assert await store.preferring.change(conversation.id, "bob", lambda _: wanted, at=AT) == (wanted, True)
    assert await store.preferring.change(conversation.id, "bob", lambda present: present, at=AT) == (wanted, False)
    bob = await store.members.get(conversation.id, "bob")
    assert bob is not None
    assert (bob.preferences, bob.revision) == (wanted, before + 1)
    assert await revision(store, "bob") == before + 1
    archived = await store.inbox.list("bob", limit=10, archived=True)
    assert [record.id for _, record in archived] == [conversation.id]
    assert await store.inbox.list("bob", limit=10, archived=False) == []
    with pytest.raises(NotFound):
        await store.preferring.change(conversation.id, "cy", lambda _: wanted, at=AT)
