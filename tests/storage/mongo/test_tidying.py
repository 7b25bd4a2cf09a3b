"""Tidying up: one worker at a time does it, any may, and what fails once holds up nobody."""

import asyncio
from collections.abc import Iterable

import pytest

from storage.errors import StorageError
from storage.model import Entry, EntryKind
from storage.mongo import tidying as module
from storage.mongo.client import Database
from storage.mongo.schema import MESSAGES
from storage.mongo.tidying import Tidying
from storage.store import Store, open_store
from support.conversing import AT, a_group, say
from support.entries import message
from support.waiting import eventually

DAY = 24 * 3_600_000


def tidying(db: Database, store: Store, owner: str = "one", *, at: int = AT, default_s: int = 0) -> Tidying:
    return Tidying(
        db,
        store.expiring,
        store.retention,
        store.rewording,
        owner=owner,
        default_retention_s=default_s,
        clock=lambda: at,
    )


async def expiring(store: Store, times: Iterable[int]) -> str:
    """A conversation with a message that expires at each of these times."""
    conversation = (await a_group(store)).id
    for at in times:
        await store.appender.append(message(conversation, body={"text": "secret", "expires_at": at}))
    return conversation


async def deletions(store: Store, conversation: str) -> list[Entry]:
    entries = (await store.log.range(conversation, 0, limit=1000)).entries
    return [entry for entry in entries if entry.kind is EntryKind.MESSAGE_DELETED]


async def test_what_is_due_is_deleted_and_nothing_else(db: Database, store: Store) -> None:
    conversation = await expiring(store, (AT, AT + 1, AT - 1))
    assert await tidying(db, store).expire() is False
    told = await deletions(store, conversation)
    assert sorted(entry.body["target"] for entry in told) == [2, 4]
    assert {(entry.body["reason"], entry.by) for entry in told} == {("expired", "")}
    left = await db[MESSAGES].count_documents({"x": "secret"})
    assert left == 1
    assert await store.expiring.due(AT, limit=10) == []
    assert (await store.log.tail(conversation)).n == 3


async def test_two_at_the_same_time_delete_each_once(db: Database, store: Store, other_store: Store) -> None:
    conversation = await expiring(store, [AT] * 10)
    await asyncio.gather(tidying(db, store).expire(), tidying(db, other_store, "two").expire())
    assert sorted(entry.body["target"] for entry in await deletions(store, conversation)) == list(range(2, 12))


async def test_a_round_is_bounded_and_says_that_there_is_more(
    db: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROUND", 3)
    conversation = await expiring(store, [AT] * 5)
    one = tidying(db, store)
    assert await one.expire() is True
    assert len(await deletions(store, conversation)) == 3
    assert await one.expire() is False
    assert len(await deletions(store, conversation)) == 5


async def test_what_cannot_be_deleted_holds_up_nothing_else(
    db: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROUND", 1)
    conversation = await expiring(store, (AT - 2, AT - 1, AT))
    delete, broken = store.rewording.delete, True

    async def failing(new: object, target: int, **options: object) -> object:
        if broken and target == 2:
            raise StorageError("cannot be")
        return await delete(new, target, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(store.rewording, "delete", failing)
    one = tidying(db, store)
    for _ in range(4):
        await one.expire()
    assert sorted(entry.body["target"] for entry in await deletions(store, conversation)) == [3, 4]
    broken = False
    await one.expire()
    assert len(await deletions(store, conversation)) == 3


async def test_old_logs_are_trimmed_by_the_default(db: Database, store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["old"], at=AT)
    await say(store, conversation, "ada", ["new"], at=AT + 40 * DAY)
    await store.summaries.flush()
    assert await tidying(db, store, at=AT + 41 * DAY).trim() is False
    one = tidying(db, store, at=AT + 41 * DAY, default_s=30 * 86_400)
    assert await one.trim() is True
    assert await one.trim() is False
    first = await store.log.first(conversation)
    assert first is not None
    assert first.body == {"text": "new"}


async def test_the_worker_does_it_and_another_when_that_one_has_ended(
    db: Database, mongodb_url: str, store: Store
) -> None:
    for owner in ("one", "two"):
        conversation = await expiring(store, [AT])
        async with open_store(mongodb_url, db.name, sweep_as=owner):

            async def done(conversation: str = conversation) -> bool:
                return len(await deletions(store, conversation)) == 1

            await eventually(done)
