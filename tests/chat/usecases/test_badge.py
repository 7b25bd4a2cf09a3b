"""The number on an icon: unread messages that are worth one."""

import time
from collections.abc import AsyncIterator

import pytest

from chat.usecases.blocks import BlockLists
from chat.usecases.unread import Unreads
from chat.vocabulary.reading import ReadTotals
from storage.model import Marks, Preferences
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from storage.store import Store, open_store
from support.conversing import AT, a_group, say

NOW = AT + 10_000


@pytest.fixture
async def store(mongodb_url: str, database_name: str) -> AsyncIterator[Store]:
    async with connect(mongodb_url, database_name) as database:
        await migrate(database)
    async with open_store(mongodb_url, database_name) as one:
        yield one


@pytest.fixture
def unreads(store: Store) -> Unreads:
    return Unreads(store, BlockLists(store, time.monotonic), lambda: NOW)


async def unread(store: Store, n: int) -> str:
    """A conversation of Ada's with so many unread messages."""
    group = await a_group(store)
    await say(store, group.id, "bob", ["x"] * n)
    await store.summaries.flush()
    return group.id


async def keep(store: Store, conversation: str, wanted: Preferences) -> None:
    await store.preferring.change(conversation, "ada", lambda _: wanted, at=NOW)


async def test_all_unread_messages_are_counted_until_they_are_read(store: Store, unreads: Unreads) -> None:
    assert await unreads.badge("ada") == 0
    first, _ = await unread(store, 2), await unread(store, 3)
    assert await unreads.badge("ada") == 5
    end = (await store.log.tail(first)).offset
    await store.reading.mark(first, "ada", Marks(read=end - 1))
    assert await unreads.badge("ada") == 4
    await store.reading.mark(first, "ada", Marks(read=end))
    assert await unreads.badge("ada") == 3
    assert await unreads.badge("bob") == 0


@pytest.mark.parametrize(
    ("wanted", "counted"),
    [
        (Preferences(), True),
        (Preferences(muted_until=NOW + 1), False),
        (Preferences(muted_until=NOW), True),
        (Preferences(archived_at=NOW), False),
    ],
)
async def test_what_is_muted_or_archived_is_worth_no_number(
    store: Store, unreads: Unreads, wanted: Preferences, counted: bool
) -> None:
    await unread(store, 1)
    await keep(store, await unread(store, 2), wanted)
    assert await unreads.badge("ada") == (3 if counted else 1)


async def test_what_a_summary_does_not_have_yet_is_counted_where_it_is_known(store: Store, unreads: Unreads) -> None:
    group, _ = (await a_group(store)).id, await unread(store, 2)
    await store.summaries.flush()
    sent = await say(store, group, "bob", ["one", "two"])
    known = sent[-1].entry.n
    assert await unreads.badge("ada", group, known) == 4
    await store.summaries.flush()
    assert await unreads.badge("ada", group, known - 1) == 4
    assert await unreads.badge("ada", "nowhere", 100) == 4


async def test_it_is_what_the_totals_say(store: Store, unreads: Unreads) -> None:
    for n in (1, 2, 3):
        await unread(store, n)
    await keep(store, await unread(store, 4), Preferences(muted_until=NOW + 1))
    assert await unreads.badge("ada") == (await unreads.totals("ada", ReadTotals())).unread == 6


async def test_a_message_that_was_read_before_it_was_counted_makes_no_number_below_zero(
    store: Store, unreads: Unreads
) -> None:
    group = (await a_group(store)).id
    sent = await say(store, group, "bob", ["one", "two"])
    await store.reading.mark(group, "ada", Marks(read=sent[-1].entry.offset))
    await unread(store, 1)
    assert await unreads.badge("ada") == 1
