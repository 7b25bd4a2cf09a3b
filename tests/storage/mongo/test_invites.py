"""Invites: a use is counted if and only if somebody came, whatever races or dies."""

import asyncio
from contextlib import suppress

import pytest

from storage.errors import Banned, NotFound, StorageError
from storage.model import Invite, Role, ids
from storage.mongo.client import Database
from storage.store import Store, open_store
from support.appending import whole_log
from support.conversing import AT, a_group
from support.fail_points import failing


def an_invite(conversation: str, *, max_uses: int | None = None, code: str = "a" * 32) -> Invite:
    return Invite(ids.invite_id(code), conversation, "ada", Role.MEMBER, AT, None, max_uses, 0)


async def uses(store: Store, invite: Invite) -> int:
    found = await store.invites.get(invite.id)
    assert found is not None
    return found.uses


async def test_as_many_come_as_it_says_whoever_races(store: Store, other_store: Store) -> None:
    conversation = await a_group(store, ["ada"])
    invite = an_invite(conversation.id, max_uses=3)
    await store.invites.create(invite)

    async def come(number: int) -> bool:
        one = (store, other_store)[number % 2]
        try:
            return await one.invites.accept(invite, f"u{number}", at=AT, allows=lambda it, _: it.good(AT)) is not None
        except NotFound:
            return False

    assert sum(await asyncio.gather(*(come(number) for number in range(12)))) == 3
    assert await uses(store, invite) == 3
    assert await store.members.count(conversation.id) == 4


@pytest.mark.parametrize("command", ["commitTransaction", "insert", "update"])
async def test_a_process_that_is_lost_on_the_way_leaves_both_or_neither(
    mongodb_url: str, store: Store, db: Database, command: str
) -> None:
    conversation = await a_group(store, ["ada"])
    invite = an_invite(conversation.id)
    await store.invites.create(invite)
    async with open_store(mongodb_url, db.name, app_name="lost") as lost:
        async with failing(mongodb_url, "lost", [command], times=2, closeConnection=True):
            with suppress(StorageError):
                await lost.invites.accept(invite, "bob", at=AT, allows=lambda it, _: it.good(AT))
        bob = await store.members.get(conversation.id, "bob")
        came = bob is not None and bob.live
        assert await uses(store, invite) == int(came)
        assert len(await whole_log(db, conversation.id)) == 1 + came
        # Asking again is what the user does.
        await lost.invites.accept(invite, "bob", at=AT, allows=lambda it, _: it.good(AT))
    assert await uses(store, invite) == 1
    assert await store.members.count(conversation.id) == 2


async def test_who_is_a_member_is_not_counted_and_who_is_banned_does_not_come(store: Store) -> None:
    conversation = await a_group(store, ["ada", "bob"])
    invite = an_invite(conversation.id)
    await store.invites.create(invite)
    await store.members.keep_out(conversation.id, "mallory", at=AT)
    assert await store.invites.accept(invite, "bob", at=AT, allows=lambda *_: True) is None
    with pytest.raises(Banned) as refused:
        await store.invites.accept(invite, "mallory", at=AT, allows=lambda *_: True)
    assert refused.value.users == ["mallory"]
    assert await uses(store, invite) == 0


async def test_it_is_looked_at_as_it_is_when_somebody_comes(store: Store) -> None:
    conversation = await a_group(store, ["ada"])
    invite = an_invite(conversation.id)
    await store.invites.create(invite)
    assert not await store.invites.revoke("z" * 26, invite.id)
    assert await store.invites.revoke(conversation.id, invite.id)
    with pytest.raises(NotFound):
        await store.invites.accept(invite, "bob", at=AT, allows=lambda *_: True)
    assert await store.invites.list(conversation.id) == []
    assert await store.members.count(conversation.id) == 1
