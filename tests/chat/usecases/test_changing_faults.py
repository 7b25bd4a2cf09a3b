"""A change of a message is there as a whole or not at all, whatever happens to MongoDB, to the caller or to the hub."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from storage.errors import StorageError
from storage.model import Appended, EntryKind, NewEntry
from storage.model.changes import edited
from storage.mongo.client import Database, connect
from storage.mongo.migrate import migrate
from storage.store import Store, open_store
from support.agreement import agreed
from support.conversing import AT, a_group, say
from support.fail_points import failing

Change = Callable[[Store, str, int], Awaitable[Appended | None]]


def entry(conversation: str, kind: EntryKind, key: str | None = None) -> NewEntry:
    return NewEntry(conversation, kind, "ada", AT + 1, key, {})


def edit(store: Store, conversation: str, target: int, text: str = "changed") -> Awaitable[Appended | None]:
    new = entry(conversation, EntryKind.MESSAGE_EDITED, secrets.token_hex(8))
    return store.rewording.edit(new, target, partial(edited, fields={"text": text}))


def delete(store: Store, conversation: str, target: int) -> Awaitable[Appended | None]:
    return store.rewording.delete(entry(conversation, EntryKind.MESSAGE_DELETED), target)


def pin(store: Store, conversation: str, target: int) -> Awaitable[Appended | None]:
    return store.rewording.pin(entry(conversation, EntryKind.MESSAGE_PINNED), target)


def unpin(store: Store, conversation: str, target: int) -> Awaitable[Appended | None]:
    return store.rewording.unpin(entry(conversation, EntryKind.MESSAGE_UNPINNED), target)


CHANGES: dict[str, Change] = {"edit": edit, "delete": delete, "pin": pin, "unpin": unpin}
"""Each of a message that was edited once and is pinned, but for `pin`."""


@pytest.fixture
async def db(mongodb_url: str, database_name: str) -> AsyncIterator[Database]:
    async with connect(mongodb_url, database_name) as database:
        await migrate(database)
        yield database
        # What is left open by those who are no more would keep the database from being dropped for a while.
        await database.client.admin.command({"killAllSessions": []})


@pytest.fixture
def app_name() -> str:
    return f"hub-{secrets.token_hex(4)}"


async def begun(store: Store, name: str) -> tuple[str, int]:
    """A conversation with a message that can be changed so."""
    conversation = (await a_group(store)).id
    (sent,) = await say(store, conversation, "ada", ["original"])
    target = sent.entry.offset
    await edit(store, conversation, target, "edited before")
    if name != "pin":
        await pin(store, conversation, target)
    return conversation, target


FAULTS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "before anything": (["find"], {"times": 1, "closeConnection": True}),
    "at the row": (["update"], {"times": 1, "closeConnection": True}),
    "at the row, lost against another": (
        ["update"],
        {"times": 2, "errorCode": 112, "errorLabels": ["TransientTransactionError"]},
    ),
    "at the entry": (["insert"], {"times": 1, "closeConnection": True}),
    "at the entry, an error nobody expects": (["insert"], {"times": 1, "errorCode": 8}),
    "before the commit": (["commitTransaction"], {"times": 2, "closeConnection": True}),
    "before the commit, no longer primary": (["commitTransaction"], {"times": 2, "errorCode": 10107}),
    "after the commit": (
        ["commitTransaction"],
        {"times": 1, "writeConcernError": {"code": 64, "errmsg": "timed out"}},
    ),
    "after the commit, given up": (["commitTransaction"], {"times": 1, "blockConnection": True, "blockTimeMS": 700}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_whose_outcome_is_lost_is_made_once(
    mongodb_url: str, db: Database, app_name: str, name: str
) -> None:
    impatient = f"{mongodb_url}&timeoutMS=500"
    async with open_store(mongodb_url, db.name, app_name=app_name) as store:
        for fault, (commands, how) in FAULTS.items():
            if not fault.endswith("given up"):
                await made_once(mongodb_url, db, store, app_name, name, commands, how)
    async with open_store(impatient, db.name, app_name=app_name) as store:
        for fault, (commands, how) in FAULTS.items():
            if fault.endswith("given up"):
                await made_once(mongodb_url, db, store, app_name, name, commands, how)


async def made_once(
    url: str, db: Database, store: Store, app_name: str, name: str, commands: list[str], how: dict[str, Any]
) -> None:
    conversation, target = await begun(store, name)
    before = await agreed(db, conversation)
    async with failing(url, app_name, commands, **how):
        try:
            appended = await CHANGES[name](store, conversation, target)
        except StorageError:
            appended = None
    after = await agreed(db, conversation)
    if appended is not None:
        assert appended.entry.offset == after.offset
        assert not appended.duplicate
    assert after.offset - before.offset in ({1} if appended is not None else {0, 1})
    assert (after == before) is (after.offset == before.offset)


@pytest.mark.parametrize("name", CHANGES)
async def test_a_caller_who_goes_away_leaves_the_whole_of_it_or_nothing(
    mongodb_url: str, db: Database, name: str
) -> None:
    async with open_store(mongodb_url, db.name) as store:
        for pause_s in (0, 0.001, 0.003, 0.006, 0.01):
            conversation, target = await begun(store, name)
            calling = asyncio.ensure_future(CHANGES[name](store, conversation, target))
            await asyncio.sleep(pause_s)
            calling.cancel()
            await asyncio.wait([calling])
            await agreed(db, conversation)
            # What was cancelled is behind it in the same log, so that it is done when this is.
            await say(store, conversation, "bob", ["later"])
            await agreed(db, conversation)


@pytest.mark.parametrize("name", CHANGES)
async def test_two_hubs_that_change_the_same_message_make_each_change_once(
    mongodb_url: str, db: Database, name: str
) -> None:
    async with open_store(mongodb_url, db.name) as one, open_store(mongodb_url, db.name) as two:
        conversation, target = await begun(one, name)
        before = await agreed(db, conversation)
        made = await asyncio.gather(*(CHANGES[name](store, conversation, target) for store in (one, two, one, two)))
        after = await agreed(db, conversation)
    # An edit to the same text, a second deletion, a second pin: there is nothing to change.
    assert [appended is not None for appended in made].count(True) == 1
    assert after.offset == before.offset + 1


HUB = """
import asyncio, sys
from support.changing_hub import change_until_killed
asyncio.run(change_until_killed(*sys.argv[1:]))
"""


async def test_a_hub_that_is_killed_leaves_row_and_log_in_agreement(mongodb_url: str, db: Database) -> None:
    """A real process, killed at any moment of edits, pins and deletions that it makes as fast as it can."""
    random = secrets.SystemRandom()
    for _ in range(4):
        async with open_store(mongodb_url, db.name) as store:
            conversation = (await a_group(store)).id
            await say(store, conversation, "ada", [f"message {number}" for number in range(5)])
        hub = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HUB, mongodb_url, db.name, conversation,
            stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        assert hub.stdout is not None
        for _ in range(random.randint(1, 25)):
            assert await hub.stdout.readline()
        await asyncio.sleep(random.random() * 0.02)
        hub.kill()
        await hub.wait()
        view = await agreed(db, conversation)
        assert view.offset > 6
