"""Users: created on first sight, owned by the application; and the counter of what is private to each of them."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from pymongo import ReturnDocument, UpdateOne

from storage.errors import NotFound
from storage.model import User
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.gather import Gather
from storage.mongo.rows import custom_text, text, user_defaults, user_of
from storage.mongo.schema import USERS

KNOWN_USERS: Final = 100_000
BATCH: Final = 256
WAITING: Final = 20_000
_CHUNK: Final = 1000


class Users:
    """An async context manager: who arrives together is read and made together. Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._users = db[USERS]
        self._known: OrderedDict[str, None] = OrderedDict()
        self._arriving: Gather[tuple[str, int], None] = Gather(self._make, batch=BATCH, limit=WAITING)
        self._asking: Gather[str, User | None] = Gather(self._read, batch=BATCH, limit=WAITING, shared=True)

    async def __aenter__(self) -> Self:
        await self._arriving.__aenter__()
        await self._asking.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._asking.__aexit__(kind, error, traceback)
        await self._arriving.__aexit__(kind, error, traceback)

    async def ensure(self, users: Iterable[str], *, at: int) -> None:
        """Make rows for those that have none. Costs nothing for users seen lately here. Raises Overloaded."""
        unseen = [user for user in dict.fromkeys(users) if user not in self._known]
        if unseen:
            await asyncio.gather(*(self._arriving.ask((user, at)) for user in unseen))

    async def upsert(
        self,
        user: str,
        *,
        at: int,
        name: str | None = None,
        avatar_url: str | None = None,
        locale: str | None = None,
        custom: Mapping[str, Any] | None = None,
        privacy: Mapping[str, bool] | None = None,
    ) -> User:
        """Set these fields, of a user who may be new; None leaves a field alone; of `privacy` what it names. Raises
        Invalid.
        """
        changes = _changes(name, avatar_url, locale, custom, privacy)
        defaults = {field: value for field, value in _new(at).items() if field not in changes}
        document = await self._update(user, {"$set": changes, "$setOnInsert": defaults}, upsert=True)
        if document is None:
            raise NotFound(user)
        self._remember([user])
        return user_of(document)

    async def update(
        self,
        user: str,
        *,
        name: str | None = None,
        avatar_url: str | None = None,
        locale: str | None = None,
        custom: Mapping[str, Any] | None = None,
        privacy: Mapping[str, bool] | None = None,
    ) -> User:
        """Set these fields of a user who is there; None leaves a field alone; of `privacy` what it names. Raises
        NotFound, Invalid.
        """
        document = await self._update(user, {"$set": _changes(name, avatar_url, locale, custom, privacy)}, upsert=False)
        if document is None:
            raise NotFound(f"no user {user}")
        return user_of(document)

    async def get(self, user: str) -> User | None:
        """One user; `ensure` needs not look for them any more. Raises Overloaded."""
        return await self._asking.ask(user)

    async def get_many(self, users: Collection[str]) -> dict[str, User]:
        """Those that exist, by id. Any number; they are read in chunks."""
        found: dict[str, User] = {}
        for chunk in _chunks(users):
            with translated():
                documents = await self._users.find({"_id": {"$in": chunk}}, batch_size=len(chunk) + 1).to_list(None)
            found.update((document["_id"], user_of(document)) for document in documents)
        return found

    async def touch_last_seen(self, seen: Mapping[str, int]) -> None:
        """These users were here at these times; it only moves forward. Unknown ones are left out."""
        for chunk in _chunks(seen):
            with translated():
                await self._users.bulk_write(
                    [UpdateOne({"_id": user}, {"$max": {"last_seen_at": seen[user]}}) for user in chunk], ordered=False
                )

    async def touch_active(self, users: Collection[str], *, at: int) -> None:
        """These users were active then; it only moves forward. Unknown ones are left out."""
        for chunk in _chunks(users):
            with translated():
                await self._users.update_many({"_id": {"$in": chunk}}, {"$max": {"active_at": at}})

    async def times(self, users: Collection[str]) -> dict[str, tuple[int, int]]:
        """When they were last active and last seen; 0: never. Unknown ones are left out."""
        found: dict[str, tuple[int, int]] = {}
        for chunk in _chunks(users):
            with translated():
                rows = self._users.find(
                    {"_id": {"$in": chunk}}, {"active_at": 1, "last_seen_at": 1}, batch_size=len(chunk) + 1
                )
                async for row in rows:
                    found[row["_id"]] = (int(row.get("active_at") or 0), int(row.get("last_seen_at") or 0))
        return found

    async def forget_times(self, users: Collection[str]) -> None:
        """Forget when they were last active and last seen."""
        for chunk in _chunks(users):
            with translated():
                await self._users.update_many(
                    {"_id": {"$in": chunk}}, {"$unset": {"active_at": ""}, "$set": {"last_seen_at": None}}
                )

    async def bump(self, session: Session, users: Collection[str], *, at: int) -> dict[str, int]:
        """Count one private change of each user, within the transaction that makes it; the new revisions by user.

        Whoever counts for the same user has to wait for this transaction, so revisions become visible in their order: a
        reader who saw revision r has everything up to r.
        """
        revisions: dict[str, int] = {}
        for chunk in _chunks(users):
            # One command for all who are there, and the shorter it takes the fewer others come between.
            await self._users.update_many({"_id": {"$in": chunk}}, {"$inc": {"revision": 1}}, session=session)
            found = self._users.find({"_id": {"$in": chunk}}, {"revision": 1}, session=session)
            async for document in found.batch_size(len(chunk) + 1):
                revisions[document["_id"]] = int(document["revision"])
            new = sorted(set(chunk) - revisions.keys())
            if new:
                row: Document = {"$inc": {"revision": 1}, "$setOnInsert": user_defaults(at)}
                rows = [UpdateOne({"_id": user}, row, upsert=True) for user in new]
                await self._users.bulk_write(rows, ordered=True, session=session)
                revisions.update(dict.fromkeys(new, 1))
        return revisions

    async def _read(self, users: Sequence[str]) -> list[User | None]:
        found = await self.get_many(users)
        self._remember(found)
        return [found.get(user) for user in users]

    async def _make(self, arrivals: Sequence[tuple[str, int]]) -> list[None]:
        """Look before writing: after a restart everybody arrives, and nearly everybody is there already."""
        times = dict(arrivals)
        with translated():
            found = self._users.find({"_id": {"$in": list(times)}}, {"_id": 1}, batch_size=len(times) + 1)
            there = {document["_id"] for document in await found.to_list(None)}
            inserts = [
                UpdateOne({"_id": user}, {"$setOnInsert": _new(at)}, upsert=True)
                for user, at in times.items()
                if user not in there
            ]
            if inserts:
                await self._users.bulk_write(inserts, ordered=False)
        self._remember(times)
        return [None] * len(arrivals)

    async def _update(self, user: str, update: Document, *, upsert: bool) -> Document | None:
        update = {operator: fields for operator, fields in update.items() if fields}
        if not update:
            with translated():
                return await self._users.find_one({"_id": user})
        with translated():
            document: Document | None = await self._users.find_one_and_update(
                {"_id": user}, update, upsert=upsert, return_document=ReturnDocument.AFTER
            )
        return document

    def _remember(self, users: Iterable[str]) -> None:
        for user in users:
            self._known[user] = None
        while len(self._known) > KNOWN_USERS:
            self._known.popitem(last=False)


def _new(at: int) -> Document:
    return {**user_defaults(at), "revision": 0}


def _changes(
    name: str | None,
    avatar_url: str | None,
    locale: str | None,
    custom: Mapping[str, Any] | None,
    privacy: Mapping[str, bool] | None,
) -> Document:
    texts = {"name": name, "avatar_url": avatar_url, "locale": locale}
    changes: Document = {field: text(value, field) for field, value in texts.items() if value is not None}
    if custom is not None:
        changes["custom"] = custom_text(custom) or "{}"
    changes.update((f"privacy.{name}", shown) for name, shown in (privacy or {}).items())
    return changes


def _chunks(users: Iterable[str]) -> list[list[str]]:
    every = list(dict.fromkeys(users))
    return [every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK)]
