"""Summaries trail the log, move forward only, and come right in whatever order they are written."""

import asyncio
import random
import secrets
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from storage.errors import Unavailable
from storage.model import Conversation, Entry, EntryKind, LastMessage, NewEntry, Position, image
from storage.model.changes import edited
from storage.mongo.client import Database, connect
from storage.mongo.fold import PREVIEW_CHARACTERS, Fold
from storage.mongo.summaries import Summaries
from storage.stats import Stats
from storage.store import Store, open_store
from support.conversing import AT, a_group, say
from support.fail_points import failing
from support.waiting import eventually

KINDS = st.sampled_from(
    [EntryKind.MESSAGE_CREATED, EntryKind.REACTION_CHANGED, EntryKind.MESSAGE_EDITED, EntryKind.MESSAGE_DELETED]
)


def entries_of(kinds: list[EntryKind]) -> list[Entry]:
    """Edits and deletions are of one of the last messages, if there is one."""
    n, entries, messages = 0, list[Entry](), list[Entry]()
    for offset, kind in enumerate(kinds, start=1):
        n += kind.counts
        entry = Entry("c", offset, n, kind, f"user{offset % 3}", AT + offset, None, {"text": f"text {offset}"})
        if kind.counts:
            messages.append(entry)
        elif kind is not EntryKind.REACTION_CHANGED and messages:
            message = messages[-1 - offset % min(3, len(messages))]
            entry = replace(entry, body={"target": message.offset, "message": image(message)})
        elif kind is not EntryKind.REACTION_CHANGED:
            entry = replace(entry, kind=EntryKind.REACTION_CHANGED)
        entries.append(entry)
    return entries


@settings(deadline=None)
@given(kinds=st.lists(KINDS, max_size=30), order=st.randoms())
def test_folding_comes_to_the_same_in_any_order_and_any_parts(kinds: list[EntryKind], order: random.Random) -> None:
    entries = entries_of(kinds)
    whole, parts = Fold(), [Fold(), Fold(), Fold()]
    whole.add(entries)
    shuffled = list(entries)
    order.shuffle(shuffled)
    for index, entry in enumerate(shuffled):
        parts[index % 3].add([entry])
    for part in parts[1:]:
        parts[0].merge(part)
    assert (parts[0].heads, parts[0].messages, parts[0].reads) == (whole.heads, whole.messages, whole.reads)


async def summary_of(store: Store, conversation: str) -> Conversation:
    found = await store.conversations.get(conversation)
    assert found is not None
    return found


async def test_a_summary_has_the_head_and_the_last_message(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["first", "x" * 500], at=AT + 5)
    await store.members.join(conversation, "cy", at=AT + 9)
    await store.summaries.flush()
    summary = await summary_of(store, conversation)
    assert summary.head == Position(4, 2)
    assert summary.last_message == LastMessage(3, "ada", "x" * PREVIEW_CHARACTERS, AT + 5)
    assert summary.activity_at == AT + 5


async def test_the_last_message_is_shown_as_it_was_left_by_its_last_change(store: Store, db: Database) -> None:
    conversation = (await a_group(store)).id
    sent = [one.entry for one in await say(store, conversation, "ada", ["1", "2"])]
    change = partial(NewEntry, conversation, by="ada", at=AT + 9, key=None, body={})
    again = partial(edited, fields={"text": "two"})
    edit = await store.rewording.edit(change(kind=EntryKind.MESSAGE_EDITED), sent[1].offset, again)
    assert edit is not None
    await store.summaries.flush()
    assert (await summary_of(store, conversation)).last_message == LastMessage(3, "ada", "two", AT)
    for message in reversed(sent):
        await store.rewording.delete(change(kind=EntryKind.MESSAGE_DELETED), message.offset)
    await store.summaries.flush()
    gone = LastMessage(3, "ada", "", AT, deleted_at=AT + 9)
    assert (await summary_of(store, conversation)).last_message == gone
    # A process that was slow, or reads the log from far behind, writes what it had.
    async with Summaries(db, stats=Stats(CollectorRegistry())) as late:
        late.note([*sent, edit.entry])
        await late.flush()
    summary = await summary_of(store, conversation)
    assert (summary.last_message, summary.activity_at) == (gone, AT)


async def test_summaries_written_late_and_out_of_order_never_move_back(store: Store, db: Database) -> None:
    conversation = (await a_group(store)).id
    sent = [one.entry for one in await say(store, conversation, "ada", ["1", "2", "3"])]
    reaction = replace(sent[2], offset=5, kind=EntryKind.REACTION_CHANGED, at=AT + 50)
    late = Summaries(db, stats=Stats(CollectorRegistry()))
    for entries in ([reaction], [sent[2]], [sent[0]], [sent[1], sent[0]]):
        late.note(entries)
        await late.flush()
    summary = await summary_of(store, conversation)
    assert summary.head == Position(5, 3)
    assert summary.last_message is not None
    assert summary.last_message.text == "3"
    assert summary.activity_at == AT


async def test_summaries_are_written_by_themselves_and_together(mongodb_url: str, db: Database) -> None:
    async with open_store(mongodb_url, db.name) as store:
        conversation = (await a_group(store)).id
        await say(store, conversation, "ada", [str(i) for i in range(30)])

        async def written() -> bool:
            return (await summary_of(store, conversation)).head == Position(31, 30)

        await eventually(written)
        assert store.stats.summaries_written <= 3


async def test_leaving_writes_what_is_pending(mongodb_url: str, db: Database, store: Store) -> None:
    async with open_store(mongodb_url, db.name) as leaving:
        conversation = (await a_group(leaving)).id
        await say(leaving, conversation, "ada", ["1"])
    assert (await summary_of(store, conversation)).head == Position(2, 1)


async def test_what_could_not_be_written_is_written_later(mongodb_url: str, db: Database, store: Store) -> None:
    conversation = (await a_group(store)).id
    (sent,) = await say(store, conversation, "ada", ["1"])
    app_name = f"summaries-{secrets.token_hex(4)}"
    async with connect(f"{mongodb_url}&timeoutMS=200", db.name, app_name=app_name) as own:
        summaries = Summaries(own, stats=Stats(CollectorRegistry()))
        summaries.note([sent.entry])
        async with failing(mongodb_url, app_name, ["update"], errorCode=91):
            with pytest.raises(Unavailable):
                await summaries.flush()
        await asyncio.wait_for(_until_flushed(summaries), timeout=5)
    assert (await summary_of(store, conversation)).head == Position(2, 1)


async def _until_flushed(summaries: Summaries) -> None:
    while True:
        try:
            return await summaries.flush()
        except Unavailable:
            continue
