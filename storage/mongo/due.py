"""Marks: what the log is still to be told of. The durable side of summaries that are entries.

A mark is written in the transaction of what it stands for, each under a key of its own, so that nobody waits for
anybody. It says what has changed since the summary in the message. Whoever brings the summary up to date takes the
marks away in the same transaction, exactly those that are in it; what came meanwhile has marks of its own, which stay.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo import ASCENDING
from pymongo.read_concern import ReadConcern

from storage.errors import StorageError
from storage.model.due import Due, DueKind
from storage.model.keys import log_key, parse_log_key
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.schema import DUE

_TOKEN_BYTES: Final = 9


class Taken(StorageError):
    """Somebody else has written what these marks stood for."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`by` made it `at` (ms). `changes`: how many more, or fewer, of each."""

    id: str
    at: int
    by: str
    changes: Mapping[str, int]


class DueMarks:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._due = db[DUE]
        # What is seen of one process' marks must not lack earlier ones that they build on.
        self._at_once = self._due.with_options(read_concern=ReadConcern("snapshot"))
        self._random = random

    async def put(
        self, due: Due, *, by: str, at: int, changes: Mapping[str, int] | None = None, session: Session | None = None
    ) -> None:
        """Mark it, within a transaction as a rule."""
        mark: Document = {"_id": f"{_prefix(due)}|{self._random(_TOKEN_BYTES).hex()}", "at": at, "by": by}
        if changes:
            # Not as field names: anything may be in them.
            mark["changes"] = [[name, change] for name, change in changes.items()]
        with translated():
            await self._due.insert_one(mark, session=session)

    async def of(self, due: Due, *, session: Session | None = None) -> list[Mark]:
        """All marks of it, as they were at one moment. As many as transactions were made since it was told of."""
        prefix = _prefix(due)
        marks = self._due if session is not None else self._at_once
        with translated():
            found = marks.find({"_id": {"$gt": f"{prefix}|", "$lt": f"{prefix}}}"}}, session=session, batch_size=1000)
            return [_mark_of(document) for document in await found.to_list(None)]

    async def take(self, session: Session, marks: Sequence[Mark]) -> None:
        """Remove exactly these within the transaction that writes what they stand for. Raises Taken."""
        if not marks:
            return
        with translated():
            result = await self._due.delete_many({"_id": {"$in": [mark.id for mark in marks]}}, session=session)
        if result.deleted_count != len(marks):
            raise Taken("told of by somebody else")

    async def drop(self, marks: Sequence[Mark]) -> None:
        """Remove marks that stand for nothing any more."""
        if marks:
            with translated():
                await self._due.delete_many({"_id": {"$in": [mark.id for mark in marks]}})

    async def older(self, before_at: int, limit: int) -> list[Due]:
        """What has been marked since before that time, longest first; from `limit` marks, so there may be fewer."""
        with translated():
            found = self._due.find(
                {"at": {"$lt": before_at}}, {"_id": 1}, sort=[("at", ASCENDING)], limit=limit, batch_size=limit + 1
            )
            return list(dict.fromkeys(_due_of(document["_id"]) for document in await found.to_list(limit)))

    async def put_off(self, due: Due, at: int) -> None:
        """Let others have their turn before it: its marks count as made at that time."""
        prefix = _prefix(due)
        with translated():
            await self._due.update_many({"_id": {"$gt": f"{prefix}|", "$lt": f"{prefix}}}"}}, {"$set": {"at": at}})


def _prefix(due: Due) -> str:
    return f"{due.kind.value}|{log_key(due.conversation, due.offset)}"


def _due_of(key: str) -> Due:
    kind, message, _ = key.split("|", 2)
    return Due(DueKind(kind), *parse_log_key(message))


def _mark_of(document: Document) -> Mark:
    changes = {name: int(change) for name, change in document.get("changes", ())}
    return Mark(document["_id"], int(document["at"]), document["by"], changes)
