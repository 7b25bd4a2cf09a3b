"""The follower makes summaries right whoever died, hands on every entry, and has one leader."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from storage.errors import Unavailable
from storage.model import Entry, EntryKind, Position
from storage.model.changes import deleted
from storage.mongo.amending import Amending
from storage.mongo.client import Database, connect
from storage.mongo.follower import BATCH, Follower, OnEntries, OnStartedOver
from storage.mongo.schema import META
from storage.stats import Stats
from storage.store import Store
from support.appending import Hub, a_hub
from support.conversing import a_group
from support.entries import message
from support.waiting import eventually


@asynccontextmanager
async def following(
    url: str,
    database: str,
    *,
    on_entries: OnEntries | None = None,
    on_started_over: OnStartedOver | None = None,
    lease_ttl_ms: int = 2000,
) -> AsyncIterator[Stats]:
    stats = Stats(CollectorRegistry())
    async with (
        connect(url, database, app_name="worker") as db,
        Follower(
            db,
            owner=secrets.token_hex(4),
            stats=stats,
            on_entries=on_entries,
            on_started_over=on_started_over,
            settle_s=0.1,
            lease_ttl_ms=lease_ttl_ms,
        ),
    ):
        yield stats


@pytest.fixture
async def dying(mongodb_url: str, db: Database) -> AsyncIterator[Hub]:
    """A hub that never writes a summary, as if it were always killed right after a commit."""
    async with a_hub(mongodb_url, db.name) as hub:
        yield hub


async def head(store: Store, conversation: str) -> Position:
    found = await store.conversations.get(conversation)
    assert found is not None
    return found.head


async def test_summaries_come_right_after_a_hub_died_before_writing_them(
    mongodb_url: str, db: Database, store: Store, dying: Hub
) -> None:
    conversation = (await a_group(store)).id
    async with following(mongodb_url, db.name) as stats:
        await eventually(lambda: stats.leading)
        for text in ("1", "2"):
            await dying.appender.append(message(conversation, by="bob", text=text))

        async def repaired() -> bool:
            return await head(store, conversation) == Position(3, 2)

        await eventually(repaired)
        found = await store.conversations.get(conversation)
        assert found is not None
        assert found.last_message is not None
        assert found.last_message.text == "2"
        member = await store.members.get(conversation, "bob")
        assert member is not None
        assert member.read == Position(3, 2)


async def test_a_deletion_that_a_killed_hub_did_not_summarise_takes_the_text_out(
    mongodb_url: str, db: Database, store: Store, dying: Hub
) -> None:
    conversation = (await a_group(store)).id
    sent = await store.appender.append(message(conversation, text="secret"))
    await store.summaries.flush()
    async with following(mongodb_url, db.name) as stats:
        await eventually(lambda: stats.leading)
        new = message(conversation, kind=EntryKind.MESSAGE_DELETED)
        await Amending(dying.db, dying.appender).amend(new, sent.entry.offset, deleted)

        async def gone() -> bool:
            found = await store.conversations.get(conversation)
            return found is not None and found.last_message is not None and found.last_message.text == ""

        await eventually(gone)


async def test_what_the_hubs_wrote_is_left_alone(mongodb_url: str, db: Database, store: Store, dying: Hub) -> None:
    written, unwritten = (await a_group(store)).id, (await a_group(store)).id
    await store.summaries.flush()
    async with following(mongodb_url, db.name) as stats:
        await eventually(lambda: state_is_saved(db))
        await store.appender.append(message(written, by="ada"))
        await store.summaries.flush()
        await dying.appender.append(message(unwritten, by="ada"))
        await eventually(lambda: stats.summaries_repaired)
        # The later one's summary and its sender's read position, and nothing of the earlier one.
        assert stats.summaries_repaired == 2


async def test_a_first_follower_looks_through_everything(
    mongodb_url: str, db: Database, store: Store, dying: Hub
) -> None:
    conversation = (await a_group(store)).id
    await store.summaries.flush()
    await asyncio.gather(*(dying.appender.append(message(conversation, by="bob")) for _ in range(5)))
    async with following(mongodb_url, db.name) as stats:
        await eventually(lambda: stats.summaries_repaired)
    assert await head(store, conversation) == Position(6, 5)


async def test_entries_committed_while_nobody_followed_are_handed_on_later(
    mongodb_url: str, db: Database, dying: Hub
) -> None:
    got: list[str | None] = []

    async def collect(entries: Sequence[Entry]) -> None:
        got.extend(entry.key for entry in entries)

    async with following(mongodb_url, db.name, on_entries=collect) as stats:
        await eventually(lambda: stats.leading)
        await eventually(lambda: state_is_saved(db))
    await dying.appender.append(message(key="while away"))
    async with following(mongodb_url, db.name, on_entries=collect):
        await eventually(lambda: "while away" in got)


async def test_where_somebody_always_writes_entries_are_handed_on_all_the_same(
    mongodb_url: str, db: Database, dying: Hub
) -> None:
    batches: list[int] = []

    async def collect(entries: Sequence[Entry]) -> None:
        batches.append(len(entries))

    async def writes() -> None:
        while True:
            await dying.appender.append(message())

    async with following(mongodb_url, db.name, on_entries=collect) as stats:
        await eventually(lambda: stats.leading)
        await eventually(lambda: state_is_saved(db))
        writing = asyncio.create_task(writes())
        await eventually(lambda: len(batches) > 1)
        writing.cancel()
    assert max(batches[:2]) < BATCH


async def test_what_the_hook_failed_for_it_gets_again(mongodb_url: str, db: Database, dying: Hub) -> None:
    got: list[str | None] = []

    async def fail_once(entries: Sequence[Entry]) -> None:
        got.extend(entry.key for entry in entries)
        if len(got) == 1:
            raise RuntimeError("a bug elsewhere")

    async with following(mongodb_url, db.name, on_entries=fail_once) as stats:
        await eventually(lambda: stats.leading)
        await eventually(lambda: state_is_saved(db))
        await dying.appender.append(message(key="k"))
        await eventually(lambda: got == ["k", "k"])


async def test_one_of_several_leads_and_another_takes_over(mongodb_url: str, db: Database) -> None:
    async with following(mongodb_url, db.name) as first:
        await eventually(lambda: first.leading)
        async with following(mongodb_url, db.name) as second:
            await eventually(lambda: state_is_saved(db))
            assert (first.leading, second.leading) == (1, 0)
            await db[META].update_one({"_id": "lease:follower"}, {"$set": {"owner": "somebody else"}})
            await eventually(lambda: not first.leading)
            await db[META].update_one({"_id": "lease:follower"}, {"$unset": {"owner": "", "until": ""}})
            await eventually(lambda: first.leading + second.leading == 1)


@pytest.mark.parametrize("broken", ["", "826000000000000001296E04"])
async def test_a_follower_that_lost_its_place_looks_through_everything(
    mongodb_url: str, db: Database, store: Store, dying: Hub, broken: str
) -> None:
    conversation = (await a_group(store)).id
    async with following(mongodb_url, db.name):
        await eventually(lambda: state_is_saved(db))
    await dying.appender.append(message(conversation, by="bob"))
    held = await db[META].find_one({"_id": "lease:follower"})
    assert held is not None
    place = held["state"]["_data"]
    no_longer_there = place[:2] + "60000000" + place[10:]
    await db[META].update_one({"_id": "lease:follower"}, {"$set": {"state._data": broken or no_longer_there}})
    async with following(mongodb_url, db.name) as stats:
        await eventually(lambda: stats.summaries_repaired)
    assert await head(store, conversation) == Position(2, 1)


async def test_who_begins_at_the_present_is_told_before_anything_is_handed_on(
    mongodb_url: str, db: Database, dying: Hub
) -> None:
    happened: list[str | None] = []
    began = asyncio.Event()

    async def collect(entries: Sequence[Entry]) -> None:
        happened.extend(entry.key for entry in entries)

    async def started_over() -> None:
        happened.append("started over")
        # What is committed by now is handed on, also if nobody sees it meanwhile.
        await dying.appender.append(message(key="meanwhile"))
        began.set()

    async with following(mongodb_url, db.name, on_entries=collect, on_started_over=started_over):
        await began.wait()
        await eventually(lambda: happened == ["started over", "meanwhile"])
        await eventually(lambda: state_is_saved(db))
    # The next one goes on from there.
    async with following(mongodb_url, db.name, on_entries=collect, on_started_over=started_over) as stats:
        await eventually(lambda: stats.leading)
        await dying.appender.append(message(key="later"))
        await eventually(lambda: "later" in happened)
    assert happened.count("started over") == 1


async def test_what_failed_when_it_started_over_is_done_again_before_anything_else(
    mongodb_url: str, db: Database, dying: Hub
) -> None:
    happened: list[str | None] = []

    async def collect(entries: Sequence[Entry]) -> None:
        happened.extend(entry.key for entry in entries)

    async def fail_once() -> None:
        happened.append("started over")
        if len(happened) == 1:
            raise Unavailable("MongoDB is away")

    async with following(mongodb_url, db.name, on_entries=collect, on_started_over=fail_once):
        await eventually(lambda: len(happened) == 2)
        await eventually(lambda: state_is_saved(db))
        await dying.appender.append(message(key="k"))
        await eventually(lambda: "k" in happened)
    assert happened == ["started over", "started over", "k"]


async def test_who_lost_their_place_is_told(mongodb_url: str, db: Database) -> None:
    times: list[int] = []

    async def started_over() -> None:
        times.append(len(times))

    async with following(mongodb_url, db.name, on_started_over=started_over):
        await eventually(lambda: state_is_saved(db))
    await db[META].update_one({"_id": "lease:follower"}, {"$set": {"state._data": ""}})
    async with following(mongodb_url, db.name, on_started_over=started_over):
        await eventually(lambda: len(times) == 2)


async def state_is_saved(db: Database) -> bool:
    found = await db[META].find_one({"_id": "lease:follower"})
    return found is not None and "state" in found
