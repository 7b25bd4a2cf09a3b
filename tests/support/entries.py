"""Entries for tests, and putting them into a log without the appender."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from storage.model import ORIGIN, Entry, EntryKind, NewEntry, Position
from storage.mongo.client import Database
from storage.mongo.documents import document_of, prepare
from storage.mongo.schema import MESSAGES

_numbers = count(1)


def message(
    conversation: str = "c" * 26,
    *,
    by: str = "ada",
    key: str | None = None,
    text: str = "hello",
    at: int = 1_700_000_000_000,
    kind: EntryKind = EntryKind.MESSAGE_CREATED,
    body: Mapping[str, Any] | None = None,
) -> NewEntry:
    """A message, with a key of its own unless one is given."""
    if body is None:
        body = {"text": text} if kind is EntryKind.MESSAGE_CREATED else {}
    return NewEntry(conversation, kind, by, at, key or f"key-{next(_numbers)}", body)


async def write_log(db: Database, news: Sequence[NewEntry], *, after: Position = ORIGIN) -> list[Entry]:
    """Insert consecutive entries right after `after`; returns them."""
    entries = []
    documents = []
    place = after
    for new in news:
        place = Position(place.offset + 1, place.n + new.kind.counts)
        entries.append(Entry(new.conversation, place.offset, place.n, new.kind, new.by, new.at, new.key, new.body))
        documents.append(document_of(prepare(new, own_key=bytes).fields, new.conversation, place.offset, place.n))
    if documents:
        await db[MESSAGES].insert_many(documents)
    return entries
