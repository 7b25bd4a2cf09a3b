"""What a user has deleted for themselves: rows of their own, told by revision, and found by range."""

import asyncio

import pytest

from storage.errors import NotFound
from storage.store import Store
from support.conversing import AT, a_group

A = "a" * 26


async def test_what_is_hidden_is_found_in_its_range_and_for_its_user_only(store: Store) -> None:
    first, other = (await a_group(store)).id, (await a_group(store)).id
    hiding = await store.hidden.hide("ada", first, [9, 3, 3, 5], at=AT)
    assert (hiding.offsets, hiding.first) == ([3, 5, 9], True)
    await store.hidden.hide("ada", f"{first}~4", [7], at=AT)
    assert await store.hidden.between("ada", first, 0, 99) == {3, 5, 9}
    assert await store.hidden.between("ada", first, 3, 5) == {5}
    assert await store.hidden.between("ada", f"{first}~4", 0, 99) == {7}
    assert await store.hidden.between("ada", other, 0, 99) == set()
    assert await store.hidden.between("bob", first, 0, 99) == set()
    places = [(first, 3), (first, 4), (other, 3), (f"{first}~4", 7)]
    assert await store.hidden.among("ada", places) == {(first, 3), (f"{first}~4", 7)}
    assert await store.hidden.among("ada", []) == set()


async def test_a_user_whose_id_looks_like_another_ones_key_sees_nothing_of_it(store: Store) -> None:
    conversation = (await a_group(store)).id
    crafty = f"ada|{conversation}"
    await store.members.add(
        conversation, [(crafty, (await store.members.get(conversation, "bob")).role)], by="ada", at=AT
    )
    await store.hidden.hide(crafty, conversation, [2], at=AT)
    assert await store.hidden.between("ada", conversation, 0, 10**9) == set()
    assert await store.hidden.between(crafty, conversation, 0, 9) == {2}


async def test_the_membership_says_that_there_is_something_hidden(store: Store) -> None:
    conversation = (await a_group(store)).id
    assert not (await store.members.get(conversation, "ada")).hides
    assert (await store.hidden.hide("ada", f"{conversation}~2", [2], at=AT)).first
    assert (await store.members.get(conversation, "ada")).hides
    assert not (await store.members.get(conversation, "bob")).hides
    again = await store.hidden.hide("ada", conversation, [2], at=AT)
    assert (again.offsets, again.first) == ([2], False)
    await store.members.leave(conversation, "ada", at=AT)
    await store.members.join(conversation, "ada", at=AT)
    assert (await store.members.get(conversation, "ada")).hides


async def test_hiding_again_changes_nothing(store: Store) -> None:
    conversation = (await a_group(store)).id
    first = await store.hidden.hide("ada", conversation, [2, 3], at=AT)
    again = await store.hidden.hide("ada", conversation, [3, 2], at=AT)
    assert (again.offsets, again.revision) == ([], 0)
    more = await store.hidden.hide("ada", conversation, [2, 4], at=AT)
    assert (more.offsets, more.revision) == ([4], first.revision + 1)


async def test_whoever_never_was_a_member_hides_nothing(store: Store) -> None:
    conversation = (await a_group(store)).id
    with pytest.raises(NotFound):
        await store.hidden.hide("eve", conversation, [2], at=AT)
    assert (await store.hidden.since("eve", 0)).offsets == {}


async def test_what_was_hidden_after_a_revision_is_told_page_by_page(store: Store) -> None:
    one, two = (await a_group(store)).id, (await a_group(store)).id
    start = (await store.users.get("ada")).revision
    for conversation, offsets in ((one, [2, 3]), (two, [4]), (one, [5]), (two, [6, 7])):
        await store.hidden.hide("ada", conversation, offsets, at=AT)
    everything = await store.hidden.since("ada", start)
    assert everything.offsets == {one: [2, 3, 5], two: [4, 6, 7]}
    assert (everything.revision, everything.complete) == ((await store.users.get("ada")).revision, True)
    assert (await store.hidden.since("ada", everything.revision)).offsets == {}
    told: dict[str, list[int]] = {}
    revision, complete, pages = start, False, 0
    while not complete:
        page = await store.hidden.since("ada", revision, limit=3)
        for conversation, offsets in page.offsets.items():
            told.setdefault(conversation, []).extend(offsets)
        revision, complete, pages = page.revision, page.complete, pages + 1
    assert told == everything.offsets
    assert pages > 1


async def test_hiding_at_the_same_time_hides_each_once(store: Store, other_store: Store) -> None:
    conversation = (await a_group(store)).id
    hidings = await asyncio.gather(
        *(one.hidden.hide("ada", conversation, [2, number], at=AT) for number in (3, 4) for one in (store, other_store))
    )
    assert sorted(offset for hiding in hidings for offset in hiding.offsets) == [2, 3, 4]
    assert [hiding.first for hiding in hidings].count(True) == 1
    revisions = [hiding.revision for hiding in hidings if hiding.offsets]
    assert len(set(revisions)) == len(revisions)
