"""Messages that expire: readers see a tombstone at the very time, and workers find what is due."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from storage.model import Entry, EntryKind, NewEntry, image
from storage.mongo.client import Database
from storage.store import Store, open_store
from support.conversing import AT, a_group
from support.entries import message

SECRET = {"text": "secret", "expires_at": AT + 1000}
GONE = {"deleted_at": AT + 1000}


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(mongodb_url: str, db: Database, clock: Clock) -> AsyncIterator[Store]:
    async with open_store(mongodb_url, db.name, clock=clock) as one:
        yield one


async def every_reading(store: Store, conversation: str, key: str) -> list[Mapping[str, Any]]:
    """The body of entry 2 by each way to read it."""
    log = store.log
    entries: list[Entry | None] = [
        await log.get(conversation, 2),
        await log.by_key(conversation, "ada", key),
        (await log.range(conversation, 1, 2, limit=10)).entries[0],
        (await log.messages_before(conversation, 3, 10)).entries[0],
        (await log.messages_after(conversation, 1, 10)).entries[0],
        (await log.examine(conversation, 1))[0][0].entry,
        (await store.appender.append(message(conversation, key=key, body={"text": "again"}))).entry,
    ]
    return [entry.body for entry in entries if entry is not None]


async def test_nobody_reads_a_message_from_its_time_on(timed: Store, clock: Clock) -> None:
    conversation = (await a_group(timed)).id
    await timed.appender.append(message(conversation, key="k", body=SECRET))
    clock.now = AT + 999
    assert await every_reading(timed, conversation, "k") == [SECRET] * 7
    clock.now = AT + 1000
    assert await every_reading(timed, conversation, "k") == [GONE] * 7


async def test_an_edit_does_not_tell_what_has_expired_either(timed: Store, clock: Clock) -> None:
    conversation = (await a_group(timed)).id
    sent = (await timed.appender.append(message(conversation, body=SECRET))).entry
    body = {"target": sent.offset, "message": image(sent), "original": {"text": "secret too"}}
    await timed.appender.append(NewEntry(conversation, EntryKind.MESSAGE_EDITED, "ada", AT, None, body))
    clock.now = AT + 1000
    edited = (await timed.log.range(conversation, sent.offset, limit=1)).entries[0]
    assert edited.body["message"]["body"] == GONE
    assert edited.body["message"]["n"] == sent.n
    assert "secret" not in str(edited.body)


async def test_a_worker_finds_what_is_due_the_most_overdue_first(timed: Store) -> None:
    conversation = (await a_group(timed)).id
    for later in (500, 100, 900):
        await timed.appender.append(message(conversation, body={"text": "x", "expires_at": AT + later}))
    await timed.appender.append(message(conversation))
    assert await timed.expiring.due(AT + 99, limit=10) == []
    assert await timed.expiring.due(AT + 500, limit=10) == [(conversation, 3), (conversation, 2)]
    assert await timed.expiring.due(AT + 900, limit=1) == [(conversation, 3)]


async def test_lists_do_not_show_what_will_expire(timed: Store) -> None:
    conversation = (await a_group(timed)).id
    await timed.appender.append(message(conversation, body=SECRET))
    await timed.summaries.flush()
    found = await timed.conversations.get(conversation)
    assert found is not None
    assert found.last_message is not None
    assert (found.last_message.offset, found.last_message.text) == (2, "")
