"""Messages that a user has deleted for themselves: a row each, private to the user.

Their membership row says whether there are any at all in a conversation, so that whoever has hidden nothing there pays
nothing for it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo import ASCENDING, UpdateOne

from storage.errors import NotFound
from storage.model import ids
from storage.model.keys import MAX_OFFSET, log_key, parse_log_key
from storage.mongo.client import Client, Database, Session, translated
from storage.mongo.rows import member_key
from storage.mongo.schema import HIDDEN, MEMBERS
from storage.mongo.transaction import transaction, until_uncontended
from storage.mongo.users import Users

MAX_READ: Final = 1000
"""Rows of one user that are read at once."""

_BY_KEY: Final = [("_id", ASCENDING)]


@dataclass(frozen=True, slots=True)
class Hiding:
    """What a call has hidden, ascending, and the user's revision with it. `first`: the first ever in the conversation.

    With nothing hidden that was not hidden before, `offsets` is empty and `revision` 0.
    """

    offsets: list[int]
    revision: int
    first: bool


@dataclass(frozen=True, slots=True)
class HiddenSince:
    """Offsets by conversation that the user has hidden after the revision that was asked about.

    `revision` is the one to ask with next time. `complete` is False when there were too many at once: ask again.
    """

    revision: int
    offsets: Mapping[str, list[int]]
    complete: bool


class Hidden:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, users: Users) -> None:
        self._client: Client = db.client
        self._hidden = db[HIDDEN]
        self._members = db[MEMBERS]
        self._users = users

    async def hide(self, user: str, conversation: str, offsets: Collection[int], *, at: int) -> Hiding:
        """Hide entries of a conversation, or of a thread, from a user, in one transaction. What is hidden stays so.

        Raises NotFound for whoever never was a member.
        """
        return await until_uncontended(lambda: self._hide(user, conversation, sorted(set(offsets)), at))

    async def between(self, user: str, conversation: str, after: int, upto: int) -> set[int]:
        """The hidden offsets with after < offset <= upto."""
        keys = {
            "$gt": _key(user, conversation, min(max(after, 0), MAX_OFFSET)),
            "$lte": _key(user, conversation, min(upto, MAX_OFFSET)),
        }
        # A user's id may look like the beginning of another one's keys.
        with translated():
            found = self._hidden.find({"_id": keys, "user": user}, {"_id": 1}, hint=_BY_KEY, batch_size=MAX_READ)
            return {_place(user, row["_id"])[1] for row in await found.to_list(None)}

    async def among(self, user: str, places: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        """Those of these (conversation, offset) that are hidden."""
        hidden: set[tuple[str, int]] = set()
        for start in range(0, len(places), MAX_READ):
            keys = [_key(user, *place) for place in places[start : start + MAX_READ]]
            with translated():
                found = self._hidden.find({"_id": {"$in": keys}}, {"_id": 1}, hint=_BY_KEY, batch_size=len(keys) + 1)
                hidden.update(_place(user, row["_id"]) for row in await found.to_list(None))
        return hidden

    async def since(self, user: str, revision: int, *, limit: int = MAX_READ) -> HiddenSince:
        """What the user has hidden after `revision`, earliest first.

        Read the user's counter before, and take the larger: what it counted is committed. What one call hid has one
        revision and stays together.
        """
        with translated():
            rows = await self._hidden.find(
                {"user": user, "revision": {"$gt": revision}},
                {"revision": 1},
                sort=[("revision", ASCENDING)],
                limit=limit + 1,
                batch_size=limit + 2,
            ).to_list(limit + 1)
        complete = len(rows) <= limit
        if not complete:
            cut = rows[-1]["revision"]
            rows = [row for row in rows if row["revision"] < cut]
        offsets: dict[str, list[int]] = {}
        for row in rows:
            conversation, offset = _place(user, row["_id"])
            offsets.setdefault(conversation, []).append(offset)
        return HiddenSince(int(rows[-1]["revision"]) if rows else revision, offsets, complete)

    async def _hide(self, user: str, conversation: str, offsets: Sequence[int], at: int) -> Hiding:
        root = ids.thread_root(conversation)
        member = member_key(conversation if root is None else root[0], user)
        async with transaction(self._client) as session:
            with translated():
                new = await self._new(session, user, conversation, offsets)
                if not new:
                    await session.abort_transaction()
                    return Hiding([], 0, first=False)
                revisions = await self._users.bump(session, [user], at=at)
                row = {"user": user, "revision": revisions[user], "at": at}
                await self._hidden.bulk_write(
                    [UpdateOne({"_id": _key(user, conversation, one)}, {"$set": row}, upsert=True) for one in new],
                    session=session,
                )
                result = await self._members.update_one({"_id": member}, {"$set": {"hides": True}}, session=session)
                if result.matched_count == 0:
                    raise NotFound(f"{user} is no member of {conversation}")
        return Hiding(new, revisions[user], first=result.modified_count == 1)

    async def _new(self, session: Session, user: str, conversation: str, offsets: Sequence[int]) -> list[int]:
        """Those that are not hidden yet."""
        keys = {_key(user, conversation, offset): offset for offset in offsets}
        found = self._hidden.find({"_id": {"$in": [*keys]}}, {"_id": 1}, session=session, batch_size=len(keys) + 1)
        there = {row["_id"] async for row in found}
        return [offset for key, offset in keys.items() if key not in there]


def _key(user: str, conversation: str, offset: int) -> str:
    return f"{user}|{log_key(conversation, offset)}"


def _place(user: str, key: str) -> tuple[str, int]:
    return parse_log_key(key[len(user) + 1 :])
