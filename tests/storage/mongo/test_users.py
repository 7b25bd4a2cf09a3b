"""Users come to be on first sight and change only where they are told to."""

import asyncio

import pytest

from storage.errors import Invalid, NotFound
from storage.store import Store
from support.conversing import AT, a_group


async def test_a_user_who_was_seen_exists_with_nothing_known(store: Store) -> None:
    await store.users.ensure(["ada", "bob", "ada"], at=AT)
    ada = await store.users.get("ada")
    assert ada is not None
    assert (ada.name, ada.avatar_url, ada.locale, ada.custom, ada.last_seen_at) == ("", "", "", {}, None)
    assert (ada.created_at, ada.revision) == (AT, 0)


async def test_being_seen_again_changes_nothing(store: Store, other_store: Store) -> None:
    await store.users.upsert("ada", at=AT, name="Ada")
    for one in (store, other_store):
        await one.users.ensure(["ada"], at=AT + 9)
    ada = await store.users.get("ada")
    assert ada is not None
    assert (ada.name, ada.created_at) == ("Ada", AT)


async def test_an_upsert_sets_what_it_names_and_leaves_the_rest(store: Store) -> None:
    await store.users.upsert("ada", at=AT, name="Ada", custom={"a.b": {"$c": 1}})
    ada = await store.users.upsert("ada", at=AT, locale="de", avatar_url="https://example.org/a.png")
    assert (ada.name, ada.locale, ada.avatar_url) == ("Ada", "de", "https://example.org/a.png")
    assert ada.custom == {"a.b": {"$c": 1}}
    assert (await store.users.upsert("ada", at=AT)) == ada
    assert (await store.users.upsert("ada", at=AT, custom={})).custom == {}


async def test_an_update_needs_a_user(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.users.update("ada", name="Ada")
    await store.users.ensure(["ada"], at=AT)
    assert (await store.users.update("ada", name="Ada")).name == "Ada"
    with pytest.raises(Invalid):
        await store.users.update("ada", name="\ud800")


async def test_a_member_who_was_never_seen_becomes_a_user_with_a_revision(store: Store) -> None:
    await a_group(store, ["ada", "bob"])
    bob = await store.users.get("bob")
    assert bob is not None
    assert (bob.revision, bob.created_at) == (1, AT)


async def test_last_seen_only_moves_forward(store: Store) -> None:
    await store.users.ensure(["ada"], at=AT)
    for at in (AT + 5, AT + 9, AT + 7):
        await store.users.touch_last_seen({"ada": at, "nobody": at})
    ada = await store.users.get("ada")
    assert ada is not None
    assert ada.last_seen_at == AT + 9
    assert await store.users.get("nobody") is None


async def test_who_arrives_together_is_made_together_and_everybody_is_answered(store: Store) -> None:
    await store.users.ensure(["user3"], at=AT)
    users = [f"user{i}" for i in range(600)]
    await asyncio.gather(*(store.users.ensure([user], at=AT + 1) for user in (*users, *users)))
    found = await asyncio.gather(*(store.users.get(user) for user in (*users, "nobody")))
    assert [one.id if one else None for one in found] == [*users, None]
    assert {one.created_at for one in found if one} == {AT, AT + 1}


async def test_any_number_of_users_is_read_at_once(store: Store) -> None:
    users = [f"user{i}" for i in range(2500)]
    await store.users.ensure(users, at=AT)
    assert set(await store.users.get_many([*users, "nobody"])) == set(users)
