"""Files that nobody needs are removed, those that somebody needs never."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from chat.files.sweeping import AGAIN_MS, DAY_MS, SETTLE_MS, Sweeper
from chat.usecases.files import FilesAway, UploadRules
from storage.model import Change, EntryKind, NewEntry, Upload, UploadState
from storage.mongo.client import connect
from storage.store import open_store
from support.conversing import a_group
from support.databases import laid_out

NOW = int(time.time() * 1000)
HOUR = 3_600_000
RULES = UploadRules(pending_ttl_ms=HOUR, unused_ttl_ms=24 * HOUR)


@dataclass
class Clock:
    now: int = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Shelf:
    """What is removed of a store; `away` once."""

    dropped: list[str] = field(default_factory=list)
    away: bool = False

    async def drop(self, upload, copies):
        if self.away:
            self.away = False
            raise FilesAway("not now")
        self.dropped.append(upload)


@pytest.fixture
async def store(mongodb_url, database_name):
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as one:
        yield one


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def sweeper(store, shelf, clock):
    return Sweeper(store.uploads, shelf, RULES, clock)


async def pending(store, name="a"):
    new = Upload(
        id=name * 26,
        user="ada",
        name="x",
        content_type="text/plain",
        size_bytes=1,
        created_at=NOW,
        look_at=NOW + HOUR,
    )
    return (await store.uploads.create(new, key=None))[0].id


async def ready(store, name="a"):
    upload = await pending(store, name)
    assert await store.uploads.begin_check(upload, "copy")
    look_at = NOW + RULES.unused_ttl_ms
    assert await store.uploads.ready(upload, "copy", width=None, height=None, preview=None, look_at=look_at)
    return upload


async def keep(store, upload, at):
    return await store.uploads.keep([upload], user="ada", at=at, look_at=at + RULES.unused_ttl_ms)


async def send(store, upload, at=NOW):
    """As a hub does it: the upload is kept first, then the message is appended."""
    assert await keep(store, upload, at)
    conversation = (await a_group(store)).id
    body = {"attachments": [{"upload": upload}]}
    appended = await store.appender.append(NewEntry(conversation, EntryKind.MESSAGE_CREATED, "ada", at, None, body))
    return conversation, appended.entry.offset


async def delete(store, conversation, offset):
    new = NewEntry(conversation, EntryKind.MESSAGE_DELETED, "ada", NOW, None, {})
    await store.amending.amend(new, offset, lambda *_: Change({"target": offset}, {"deleted_at": NOW}))


async def state(store, upload):
    found = await store.uploads.get(upload)
    return None if found is None else found.state


async def test_what_is_never_completed_goes_after_an_hour(store, sweeper, shelf, clock):
    upload = await pending(store)
    clock.now = NOW + HOUR - 1
    assert await sweeper.sweep() == 0
    clock.now = NOW + HOUR
    assert await sweeper.sweep() == 1
    assert shelf.dropped == [upload]
    assert await state(store, upload) is UploadState.REMOVED
    # It counts in what its user announced until a day is over; then nothing is left.
    clock.now = NOW + DAY_MS - 1
    assert await sweeper.sweep() == 0
    clock.now = NOW + DAY_MS
    assert await sweeper.sweep() == 1
    assert await state(store, upload) is None


async def test_what_no_message_uses_goes_after_a_day(store, sweeper, shelf, clock):
    upload = await ready(store)
    clock.now = NOW + RULES.unused_ttl_ms - 1
    assert await sweeper.sweep() == 0
    clock.now = NOW + RULES.unused_ttl_ms
    await sweeper.sweep()
    assert shelf.dropped == [upload]
    assert await state(store, upload) is None


async def test_what_a_message_uses_stays_and_is_looked_at_again(store, sweeper, shelf, clock):
    upload = await ready(store)
    place = await send(store, upload)
    for _ in range(3):
        clock.now += AGAIN_MS
        assert await sweeper.sweep() == 1
    assert shelf.dropped == []
    # Also when nobody noted that the message is gone: it was removed together with its part of the log, say.
    await store.log._messages.delete_one({"f": upload})
    clock.now += AGAIN_MS
    await sweeper.sweep()
    assert shelf.dropped == [upload]
    assert place


async def test_what_a_deleted_message_used_goes_soon(store, sweeper, shelf, clock):
    upload = await ready(store)
    conversation, offset = await send(store, upload)
    await delete(store, conversation, offset)
    clock.now = NOW + SETTLE_MS - 1
    await sweeper.sweep()
    assert shelf.dropped == []
    clock.now = NOW + SETTLE_MS
    await sweeper.sweep()
    assert shelf.dropped == [upload]
    assert await keep(store, upload, clock.now) == {}


async def test_a_forwarded_message_is_a_use(store, sweeper, shelf, clock):
    upload = await ready(store)
    first, second = await send(store, upload), await send(store, upload)
    clock.now = NOW + SETTLE_MS
    await delete(store, *first)
    await sweeper.sweep()
    assert shelf.dropped == []
    await delete(store, *second)
    await sweeper.sweep()
    assert shelf.dropped == [upload]


async def test_a_message_on_its_way_keeps_its_files(store, sweeper, shelf, clock):
    """The last use is deleted just when somebody forwards the message: the forwarded one is not in the log yet."""
    upload = await ready(store)
    conversation, offset = await send(store, upload)
    clock.now = NOW + HOUR
    await keep(store, upload, clock.now)
    await delete(store, conversation, offset)
    await sweeper.sweep()
    assert await state(store, upload) is UploadState.READY
    await send(store, upload, clock.now)
    clock.now += SETTLE_MS
    await sweeper.sweep()
    assert shelf.dropped == []


async def test_a_send_that_failed_leaves_a_day_to_repeat_it(store, sweeper, shelf, clock):
    upload = await ready(store)
    await keep(store, upload, NOW + HOUR)
    clock.now = NOW + HOUR + RULES.unused_ttl_ms - 1
    await sweeper.sweep()
    assert shelf.dropped == []
    clock.now += 1
    await sweeper.sweep()
    assert shelf.dropped == [upload]


async def test_who_was_killed_between_two_steps_leaves_work_for_the_next(store, sweeper, shelf, clock):
    upload = await pending(store)
    clock.now = NOW + HOUR
    found = await store.uploads.get(upload)
    assert await store.uploads.remove(found)  # and there it ended
    await sweeper.sweep()
    assert shelf.dropped == [upload]


async def test_a_file_that_cannot_be_removed_does_not_hold_up_the_others(store, sweeper, shelf, clock):
    one, two = await pending(store, "a"), await pending(store, "b")
    clock.now = NOW + HOUR
    shelf.away = True
    with pytest.raises(FilesAway):
        await sweeper.sweep()
    await sweeper.sweep()
    assert shelf.dropped == [two]
    clock.now += HOUR
    await sweeper.sweep()
    assert shelf.dropped == [two, one]


async def test_several_workers_do_no_harm(store, shelf, clock):
    used = [await ready(store, name) for name in "abc"]
    unused = [await ready(store, name) for name in "def"]
    for upload in used:
        await send(store, upload)
    clock.now = NOW + RULES.unused_ttl_ms
    workers = [Sweeper(store.uploads, shelf, RULES, clock) for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(worker.sweep() for worker in workers))
    assert set(shelf.dropped) == set(unused)
    assert [await state(store, upload) for upload in used] == [UploadState.READY] * 3
