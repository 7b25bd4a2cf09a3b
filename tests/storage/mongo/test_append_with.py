"""Entries that commit together with changes of other rows: both or neither."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from functools import partial

import pytest

from storage.errors import NotFound, StorageError
from storage.model import Entry, EntryKind
from storage.mongo.client import Database, Session
from support.appending import Hub, a_hub, whole_log
from support.entries import message
from support.fail_points import failing

A = "a" * 26
ROWS = "conversations"


@pytest.fixture
def app_name() -> str:
    return f"hub-{secrets.token_hex(4)}"


@pytest.fixture
async def hub(mongodb_url: str, db: Database, app_name: str) -> AsyncIterator[Hub]:
    async with a_hub(mongodb_url, db.name, app_name=app_name) as one:
        yield one


@pytest.fixture
async def other(mongodb_url: str, db: Database) -> AsyncIterator[Hub]:
    async with a_hub(mongodb_url, db.name) as one:
        yield one


async def count_up(db: Database, session: Session, entry: Entry) -> Entry:
    await db[ROWS].update_one(
        {"_id": "row"}, {"$inc": {"count": 1}, "$max": {"at": entry.offset}}, upsert=True, session=session
    )
    return entry


async def counted(db: Database) -> int:
    row = await db[ROWS].find_one({"_id": "row"})
    return row["count"] if row else 0


async def test_the_entry_and_the_rows_are_there_together(hub: Hub, db: Database) -> None:
    appended = await hub.appender.append_with(message(A), partial(count_up, hub.db))
    assert appended is not None
    assert await whole_log(db, A) == [appended.entry]
    assert await counted(db) == 1
    assert hub.committed == [appended]


async def test_a_change_keeps_its_place_among_plain_entries(hub: Hub, db: Database) -> None:
    futures = []
    for i in range(30):
        new = message(A, text=str(i))
        with_changes = i % 10 == 5
        futures.append(
            hub.appender.append_with(new, partial(count_up, hub.db)) if with_changes else hub.appender.append(new)
        )
    await asyncio.gather(*futures)
    assert [entry.body["text"] for entry in await whole_log(db, A)] == [str(i) for i in range(30)]
    assert await counted(db) == 3


async def test_a_change_may_narrow_its_entry_or_find_nothing_to_do(hub: Hub, db: Database) -> None:
    async def narrow(_session: Session, entry: Entry) -> Entry:
        return entry.with_body({"user": "ada"})

    async def nothing(session: Session, entry: Entry) -> None:
        await count_up(hub.db, session, entry)

    first = await hub.appender.append_with(message(A, kind=EntryKind.MEMBER_LEFT), narrow)
    second = await hub.appender.append_with(message(A, kind=EntryKind.MEMBER_LEFT), nothing)
    assert first is not None
    assert second is None
    assert [entry.body for entry in await whole_log(db, A)] == [{"user": "ada"}]
    assert await counted(db) == 0


async def test_a_change_that_refuses_leaves_nothing_behind(hub: Hub, db: Database) -> None:
    async def refuse(session: Session, entry: Entry) -> Entry:
        await count_up(hub.db, session, entry)
        raise NotFound("no such row")

    refused = hub.appender.append_with(message(A), refuse)
    after = hub.appender.append(message(A))
    with pytest.raises(NotFound):
        await refused
    assert (await after).entry.offset == 1
    assert await counted(db) == 0


async def test_a_bug_in_a_change_is_answered_and_holds_nobody_up(hub: Hub, db: Database) -> None:
    async def bug(_session: Session, _entry: Entry) -> Entry:
        raise ZeroDivisionError

    refused = hub.appender.append_with(message(A), bug)
    after = hub.appender.append(message(A))
    with pytest.raises(StorageError, match="internal error"):
        await refused
    assert (await after).entry.offset == 1


async def test_changes_that_race_with_another_process_are_made_once_each(hub: Hub, other: Hub, db: Database) -> None:
    async def burst(one: Hub) -> None:
        futures = [
            one.appender.append_with(message(A), partial(count_up, one.db))
            if i % 3 == 0
            else one.appender.append(message(A))
            for i in range(15)
        ]
        await asyncio.gather(*futures)

    await asyncio.gather(burst(hub), burst(other))
    assert len(await whole_log(db, A)) == 30
    assert await counted(db) == 10


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("insert", {"errorCode": 112, "errorLabels": ["TransientTransactionError"], "times": 2}),
        ("commitTransaction", {"closeConnection": True, "times": 2}),
        ("commitTransaction", {"writeConcernError": {"code": 64, "errmsg": "timed out"}, "times": 2}),
    ],
)
async def test_a_lost_outcome_of_a_change_is_found_out(
    hub: Hub, db: Database, mongodb_url: str, app_name: str, command: str, how: dict[str, object]
) -> None:
    await hub.appender.append(message(A))
    async with failing(mongodb_url, app_name, [command], **how):
        appended = await hub.appender.append_with(message(A), partial(count_up, hub.db))
    assert appended is not None
    assert (appended.entry.offset, appended.duplicate) == (2, False)
    assert len(await whole_log(db, A)) == 2
    assert await counted(db) == 1


async def test_the_same_key_again_changes_nothing(hub: Hub, other: Hub, db: Database) -> None:
    first = await hub.appender.append_with(message(A, key="k"), partial(count_up, hub.db))
    for one in (hub, other):
        again = await one.appender.append_with(message(A, key="k"), partial(count_up, one.db))
        assert again is not None
        assert first is not None
        assert (again.entry, again.duplicate) == (first.entry, True)
    assert await counted(db) == 1
