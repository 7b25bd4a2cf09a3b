"""Restrictions: found by key and by revision, never weakened by a later word, removed when their time is over."""

import asyncio

from storage.model import Restriction, RestrictionKind, restriction_key
from storage.mongo.client import Database
from storage.mongo.schema import RESTRICTIONS
from storage.store import Store

BLOCKED, REVOKED, INVALIDATED = RestrictionKind.BLOCKED, RestrictionKind.REVOKED, RestrictionKind.INVALIDATED


async def test_what_was_imposed_is_found_by_its_key_and_gone_when_lifted(store: Store, other_store: Store) -> None:
    imposed = await store.restrictions.impose(Restriction(BLOCKED, "ada", expires_at=4_000_000_000))
    assert await other_store.restrictions.of(imposed.key, "another") == [imposed]
    assert await other_store.restrictions.lift(imposed.key)
    assert not await store.restrictions.lift(imposed.key)
    assert await store.restrictions.of(imposed.key) == []


async def test_changes_come_in_the_order_of_their_revisions(store: Store, other_store: Store) -> None:
    assert await store.restrictions.revision() == 0
    await asyncio.gather(
        *(one.restrictions.impose(Restriction(BLOCKED, f"{n}")) for n in range(10) for one in (store, other_store))
    )
    changes = await store.restrictions.changes(0)
    revisions = [one.revision for one in changes]
    assert len(changes) == 10
    assert revisions == sorted(set(revisions))
    assert await store.restrictions.revision() == 20
    assert [one.revision for one in await store.restrictions.changes(revisions[4])] == revisions[5:]


async def test_a_later_invalidation_does_not_give_back_what_an_earlier_one_took(store: Store) -> None:
    strict = Restriction(INVALIDATED, "ada", issued_before=200, expires_at=None)
    await store.restrictions.impose(strict)
    made = await store.restrictions.impose(Restriction(INVALIDATED, "ada", issued_before=100, expires_at=4_000_000_000))
    assert (made.issued_before, made.expires_at) == (200, None)
    other = await store.restrictions.impose(Restriction(INVALIDATED, "ada", "news:a", issued_before=50))
    assert (other.issued_before, other.key != made.key) == (50, True)


def test_keys_of_different_things_differ() -> None:
    keys = [
        restriction_key(INVALIDATED, "a", "1:b"),
        restriction_key(INVALIDATED, "a1:", "b"),
        restriction_key(BLOCKED, "a"),
        restriction_key(REVOKED, "a"),
    ]
    assert len(set(keys)) == len(keys)


async def test_the_server_removes_what_has_expired(db: Database, store: Store) -> None:
    await store.restrictions.impose(Restriction(REVOKED, "jti", expires_at=4_000_000_000))
    indexes = await db[RESTRICTIONS].index_information()
    assert indexes["expires_at"]["expireAfterSeconds"] == 0
    row = await db[RESTRICTIONS].find_one({"subject": "jti"})
    assert row is not None
    assert row["expires_at"].timestamp() > 0
