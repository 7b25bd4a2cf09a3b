"""Whether the rows of a conversation and its log say the same."""

import json
from typing import Any

import msgspec
from pymongo import ASCENDING

from chat.vocabulary import render
from storage.model import Entry, EntryKind
from storage.model.keys import log_bounds
from storage.mongo.client import Database
from storage.mongo.documents import entry_of
from storage.mongo.schema import CONVERSATIONS, MESSAGES
from storage.mongo.transaction import transaction
from support.reducer import View, replay


def wire(struct: msgspec.Struct) -> dict[str, Any]:
    """What a client gets of it."""
    decoded: dict[str, Any] = json.loads(bytes(render.encode(struct)))
    return decoded


async def agreed(db: Database, conversation: str) -> View:
    """The conversation as its rows have it at one moment. Fails unless its log, replayed from its beginning, comes to
    the same.
    """
    entries, pins = await _at_one_moment(db, conversation)
    assert [entry.offset for entry in entries] == list(range(1, len(entries) + 1))
    replayed = replay(View(), [wire(render.event(entry)) for entry in entries])
    messages = [wire(render.message(entry)) for entry in entries if entry.kind is EntryKind.MESSAGE_CREATED]
    for message in messages:
        assert replayed.messages[message["offset"]] == message
        edits = [
            entry for entry in entries if entry.kind is EntryKind.MESSAGE_EDITED and _target(entry) == message["offset"]
        ]
        assert "deleted_at" in message or message.get("version", 0) == len(edits)
    assert replayed.pins == pins
    return replayed


async def _at_one_moment(db: Database, conversation: str) -> tuple[list[Entry], list[int]]:
    first, last = log_bounds(conversation)
    async with transaction(db.client) as session:
        found = db[MESSAGES].find({"_id": {"$gte": first, "$lte": last}}, sort=[("_id", ASCENDING)], session=session)
        entries = [entry_of(document) async for document in found.batch_size(10_000)]
        row = await db[CONVERSATIONS].find_one({"_id": conversation}, {"pins": 1}, session=session)
    return entries, [int(offset) for offset in (row or {}).get("pins", ())]


def _target(entry: Entry) -> int:
    target: int = entry.body["target"]
    return target
