"""Restrictions of users and tokens: few rows, asked for at every sign-in that is new to a process.

Every change counts one up, in the transaction that makes it. Whoever makes another one has to wait for that, so
revisions become visible in their order: a reader who saw revision r has everything up to r.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Final, Self

from pymongo import ASCENDING, ReturnDocument

from storage.model import Restriction, RestrictionKind
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.gather import Gather
from storage.mongo.schema import META, RESTRICTIONS
from storage.mongo.transaction import transaction, until_uncontended

BATCH: Final = 256
WAITING: Final = 20_000
MAX_CHANGES: Final = 1000
"""Changes in one answer."""

_COUNTER: Final = "restrictions"


class Restrictions:
    """An async context manager: what is asked for at the same time is read together. May raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._client = db.client
        self._rows = db[RESTRICTIONS]
        self._meta = db[META]
        self._imposing = asyncio.Lock()
        self._asking: Gather[tuple[str, ...], list[Restriction]] = Gather(self._read, batch=BATCH, limit=WAITING)

    async def __aenter__(self) -> Self:
        await self._asking.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._asking.__aexit__(kind, error, traceback)

    async def impose(self, restriction: Restriction) -> Restriction:
        """Put it in place of the one with the same key. Of two invalidations the stricter one is made."""
        # One at a time: they would only lose against each other, and only so often.
        async with self._imposing:
            return await until_uncontended(partial(self._impose, restriction))

    async def lift(self, key: str) -> bool:
        """False: there was none."""
        with translated():
            return (await self._rows.delete_one({"_id": key})).deleted_count == 1

    async def of(self, *keys: str) -> list[Restriction]:
        """Those of these keys that there are, expired ones perhaps included. Raises Overloaded."""
        return await self._asking.ask(keys)

    async def changes(self, after: int) -> list[Restriction]:
        """What was imposed after a revision and is still there, ascending; at most MAX_CHANGES."""
        with translated():
            found = self._rows.find(
                {"revision": {"$gt": after}}, sort=[("revision", ASCENDING)], limit=MAX_CHANGES, batch_size=MAX_CHANGES
            )
            return [_restriction_of(row) for row in await found.to_list(MAX_CHANGES)]

    async def revision(self) -> int:
        """How many changes there were."""
        with translated():
            counter = await self._meta.find_one({"_id": _COUNTER})
        return int(counter["revision"]) if counter else 0

    async def _impose(self, restriction: Restriction) -> Restriction:
        async with transaction(self._client) as session:
            with translated():
                # First of all, so that whoever comes between fails at once.
                counter = await self._meta.find_one_and_update(
                    {"_id": _COUNTER},
                    {"$inc": {"revision": 1}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                    session=session,
                )
                made = await self._stricter(restriction, session)
                made = replace(made, revision=int(counter["revision"]))
                await self._rows.replace_one({"_id": made.key}, _document(made), upsert=True, session=session)
        return made

    async def _stricter(self, restriction: Restriction, session: Session) -> Restriction:
        """A later word must not give back what an earlier one has taken."""
        if restriction.kind is not RestrictionKind.INVALIDATED:
            return restriction
        row = await self._rows.find_one({"_id": restriction.key}, session=session)
        if row is None:
            return restriction
        known = _restriction_of(row)
        ends = (known.expires_at, restriction.expires_at)
        return replace(
            restriction,
            issued_before=max(known.issued_before, restriction.issued_before),
            expires_at=None if None in ends else max(end for end in ends if end is not None),
        )

    async def _read(self, asked: Sequence[tuple[str, ...]]) -> list[list[Restriction]]:
        keys = list({key for of_one in asked for key in of_one})
        with translated():
            # A handful of keys each; what there is of them is next to nothing.
            rows = await self._rows.find({"_id": {"$in": keys}}).to_list(None)
        found = {row["_id"]: _restriction_of(row) for row in rows}
        return [[found[key] for key in of_one if key in found] for of_one in asked]


def _document(restriction: Restriction) -> Document:
    document: Document = {
        "_id": restriction.key,
        "kind": restriction.kind.value,
        "subject": restriction.subject,
        "revision": restriction.revision,
    }
    if restriction.channel:
        document["channel"] = restriction.channel
    if restriction.issued_before:
        document["issued_before"] = restriction.issued_before
    if restriction.expires_at is not None:
        # A date, as the server removes by dates only.
        document["expires_at"] = datetime.fromtimestamp(restriction.expires_at, UTC)
    return document


def _restriction_of(row: Document) -> Restriction:
    expires_at = row.get("expires_at")
    return Restriction(
        RestrictionKind(row["kind"]),
        row["subject"],
        row.get("channel", ""),
        int(row.get("issued_before", 0)),
        None if expires_at is None else int(expires_at.replace(tzinfo=UTC).timestamp()),
        int(row["revision"]),
    )
