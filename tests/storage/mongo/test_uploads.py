"""Rows of uploads, and what the log says of their use."""

from dataclasses import replace

import pytest

from storage.model import Change, EntryKind, NewEntry, Upload, UploadState
from storage.mongo.client import Database
from storage.mongo.uploads import MAX_COPIES
from storage.store import Store
from support.conversing import AT, a_group

HOUR = 3_600_000


def an_upload(name: str = "a", user: str = "ada", *, at: int = AT) -> Upload:
    return Upload(
        id=name * 26,
        user=user,
        name="cat.png",
        content_type="image/png",
        size_bytes=100,
        created_at=at,
        look_at=at + HOUR,
    )


async def a_ready(store: Store, name: str = "a", user: str = "ada") -> Upload:
    new, _ = await store.uploads.create(an_upload(name, user), key=None)
    assert await store.uploads.begin_check(new.id, "one")
    assert await store.uploads.ready(new.id, "one", width=2, height=1, preview=None, look_at=AT + HOUR)
    found = await store.uploads.get(new.id)
    assert found is not None
    return found


async def send(store: Store, conversation: str, *uploads: str, by: str = "ada") -> int:
    body = {"attachments": [{"upload": upload, "name": "cat.png"} for upload in uploads]}
    new = NewEntry(conversation, EntryKind.MESSAGE_CREATED, by, AT, None, body)
    return (await store.appender.append(new)).entry.offset


async def delete(store: Store, conversation: str, target: int) -> None:
    new = NewEntry(conversation, EntryKind.MESSAGE_DELETED, "ada", AT, None, {})
    await store.amending.amend(new, target, lambda _message, _entry: Change({"target": target}, {"deleted_at": AT}))


async def test_a_key_stands_for_one_upload_of_its_user(store: Store) -> None:
    assert await store.uploads.create(an_upload("a"), key="k") == (an_upload("a"), False)
    assert await store.uploads.create(an_upload("b"), key="k") == (an_upload("a"), True)
    assert await store.uploads.create(an_upload("b", "bob"), key="k") == (an_upload("b", "bob"), False)


async def test_only_the_first_copy_that_is_found_right_counts(store: Store) -> None:
    new, _ = await store.uploads.create(an_upload(), key=None)
    for copy in ("one", "two"):
        assert await store.uploads.begin_check(new.id, copy)
    assert await store.uploads.ready(new.id, "two", width=2, height=1, preview="p", look_at=AT + HOUR)
    assert not await store.uploads.ready(new.id, "one", width=None, height=None, preview=None, look_at=AT)
    found = await store.uploads.get(new.id)
    assert found == replace(
        new, state=UploadState.READY, copies=("one", "two"), file="two", width=2, height=1, preview="p"
    )
    assert not await store.uploads.begin_check(new.id, "three")


async def test_an_upload_is_checked_so_often_and_no_more(store: Store) -> None:
    new, _ = await store.uploads.create(an_upload(), key=None)
    for number in range(MAX_COPIES):
        assert await store.uploads.begin_check(new.id, str(number))
    assert not await store.uploads.begin_check(new.id, "one more")


async def test_only_what_is_ready_and_ones_own_is_kept(store: Store) -> None:
    ready, foreign = await a_ready(store, "a"), await a_ready(store, "b", "bob")
    pending, _ = await store.uploads.create(an_upload("c"), key=None)
    every = [ready.id, foreign.id, pending.id]
    assert set(await store.uploads.keep(every, user="ada", at=AT + 5, look_at=AT + 5)) == {ready.id}
    assert set(await store.uploads.keep(every, user=None, at=AT + 6, look_at=AT + 5)) == {ready.id, foreign.id}


async def test_what_is_being_removed_is_not_kept_and_what_was_kept_is_not_removed(store: Store) -> None:
    seen = await a_ready(store)
    await store.uploads.keep([seen.id], user="ada", at=AT + 1, look_at=AT + HOUR)
    assert not await store.uploads.remove(seen)
    again = await store.uploads.get(seen.id)
    assert again is not None
    assert await store.uploads.remove(again)
    assert await store.uploads.keep([seen.id], user="ada", at=AT + 2, look_at=AT + HOUR) == {}


async def test_messages_that_use_an_upload_are_found_until_they_are_deleted(store: Store) -> None:
    ready = await a_ready(store)
    one, two = (await a_group(store)).id, (await a_group(store, ["bob", "eve"])).id
    first = await send(store, one, ready.id)
    second = await send(store, two, ready.id, by="bob")
    assert set(await store.uploads.used_in(ready.id, 10)) == {one, two}
    assert len(await store.uploads.used_in(ready.id, 1)) == 1
    assert await store.uploads.is_member_of_any("eve", [one, two])
    assert not await store.uploads.is_member_of_any("eve", [one])
    await delete(store, one, first)
    assert await store.uploads.used_in(ready.id, 10) == [two]
    await delete(store, two, second)
    assert await store.uploads.used_in(ready.id, 10) == []


async def test_a_deleted_message_has_its_uploads_looked_at_soon(store: Store) -> None:
    ready = await a_ready(store)
    conversation = (await a_group(store)).id
    offset = await send(store, conversation, ready.id)
    assert await store.uploads.due(AT, 10) == []
    await delete(store, conversation, offset)
    assert [one.id for one in await store.uploads.due(AT, 10)] == [ready.id]
    assert not await store.uploads.look_later(ready, AT + HOUR)  # it was read before that


async def test_a_change_that_fails_releases_nothing(store: Store) -> None:
    ready = await a_ready(store)
    conversation = (await a_group(store)).id
    offset = await send(store, conversation, ready.id)

    async def fail(*_: object) -> None:
        raise RuntimeError("before the commit")

    new = NewEntry(conversation, EntryKind.MESSAGE_DELETED, "ada", AT, None, {})
    with pytest.raises(Exception, match="internal error"):
        await store.amending.amend(new, offset, lambda *_: Change({"target": offset}, {}), within=fail)
    assert await store.uploads.used_in(ready.id, 10) == [conversation]
    assert await store.uploads.due(AT, 10) == []


async def test_what_was_announced_counts_also_when_it_is_removed(store: Store, db: Database) -> None:
    ready = await a_ready(store)
    await store.uploads.create(an_upload("b", at=AT - HOUR), key=None)
    assert await store.uploads.remove(ready)
    await store.uploads.emptied(ready.id, look_at=AT + HOUR)
    assert [one.id for one in await store.uploads.since("ada", AT - 1, 10)] == [ready.id]
    assert [one.state for one in await store.uploads.since("ada", AT - 2 * HOUR, 10)] == [
        UploadState.REMOVED,
        UploadState.PENDING,
    ]
    await store.uploads.delete(ready.id)
    assert await store.uploads.get(ready.id) is None


async def test_what_goes_by_retention_has_its_uploads_looked_at_soon(store: Store) -> None:
    ready, newer = await a_ready(store, "a"), await a_ready(store, "b")
    conversation = (await a_group(store)).id
    await send(store, conversation, ready.id)
    await send(store, conversation, newer.id)
    await store.summaries.flush()
    await store.retention._remove(conversation, 1, 2)
    assert [one.id for one in await store.uploads.due(AT, 10)] == [ready.id]
    assert await store.uploads.used_in(ready.id, 10) == []
    assert await store.uploads.used_in(newer.id, 10) == [conversation]
