"""Who sees whom: the conversations in which somebody's coming and going is told, and who shares one with whom."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import pymongo
from pymongo import DESCENDING

from storage.errors import Unavailable
from storage.model import ids
from storage.mongo.client import Database, Document, translated
from storage.mongo.heads import read_rows
from storage.mongo.rows import member_key
from storage.mongo.schema import MEMBERS

USERS_AT_ONCE: Final = 64
ROWS_PER_USER: Final = 500
"""Memberships looked at per user, on average of those that are read together; a user with more is read alone."""

ROWS_ALONE: Final = 10_000
CONVERSATIONS_COMPARED: Final = 1_000
"""Of the user who asks: those that changed last for them."""

COMPARE_TIMEOUT_S: Final = 0.5
_FIELDS: Final = {"activity_at": 1, "members_count": 1, "peers": 1}


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation in which a user is; `peers`: the two of a direct one."""

    conversation: str
    peers: tuple[str, str] | None


class Circles:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._members = db[MEMBERS]

    async def of(self, users: Collection[str], *, newest: int, members: int) -> dict[str, list[Place]]:
        """Of each user's `newest` conversations by activity those of at most so many `members`. No threads."""
        found: dict[str, list[Place]] = {}
        every = list(dict.fromkeys(users))
        for start in range(0, len(every), USERS_AT_ONCE):
            found |= await self._of_some(every[start : start + USERS_AT_ONCE], newest, members)
        return found

    async def sharing(self, user: str, others: Collection[str]) -> set[str]:
        """Those of the others who are in a conversation with the user, a direct one or one of the
        CONVERSATIONS_COMPARED that changed last for the user.

        Some may be missed where the others are in so many conversations that to compare them takes too long.
        """
        every = [other for other in dict.fromkeys(others) if other != user]
        directs = {member_key(ids.direct_id(user, other), user): other for other in every}
        with translated():
            live: Document = {"_id": {"$in": [*directs]}, "left_at": {"$exists": False}}
            rows = await self._members.find(live, {"_id": 1}, batch_size=len(directs) + 1).to_list(None)
        sharing = {directs[row["_id"]] for row in rows}
        rest = [other for other in every if other not in sharing]
        if not rest:
            return sharing
        with translated():
            mine = await self._members.find(
                {"user": user, "left_at": {"$exists": False}},
                {"conversation": 1},
                sort=[("user", DESCENDING), ("revision", DESCENDING)],
                limit=CONVERSATIONS_COMPARED,
            ).to_list(CONVERSATIONS_COMPARED)
        conversations = [row["conversation"] for row in mine if "~" not in row["conversation"]]
        return sharing | await self._in_any(rest, conversations)

    async def _in_any(self, users: Sequence[str], conversations: Sequence[str]) -> set[str]:
        match: Document = {
            "user": {"$in": list(users)},
            "conversation": {"$in": list(conversations)},
            "left_at": {"$exists": False},
        }
        try:
            with translated(), pymongo.timeout(COMPARE_TIMEOUT_S):
                found = self._members.aggregate([{"$match": match}, {"$group": {"_id": "$user"}}], hint="user")
                return {row["_id"] for row in await found.to_list(None)}
        except Unavailable:
            return set()

    async def _of_some(self, users: Sequence[str], newest: int, most: int) -> dict[str, list[Place]]:
        limit = len(users) * ROWS_PER_USER
        query: Document = {"user": {"$in": list(users)}, "left_at": {"$exists": False}}
        rows = await self._rows(query, limit)
        if len(rows) == limit:
            rows = [row for user in users for row in await self._rows({**query, "user": user}, ROWS_ALONE)]
        rows = [row for row in rows if "~" not in row["conversation"]]
        conversations = {
            row["_id"]: row for row in await read_rows(self._db, {row["conversation"] for row in rows}, _FIELDS)
        }
        mine: dict[str, list[Document]] = {user: [] for user in users}
        for row in rows:
            if row["conversation"] in conversations:
                mine[row["user"]].append(conversations[row["conversation"]])
        return {user: _places(of_user, newest, most) for user, of_user in mine.items()}

    async def _rows(self, query: Document, limit: int) -> list[Document]:
        with translated():
            found = self._members.find(query, {"user": 1, "conversation": 1}, limit=limit, batch_size=limit)
            return await found.to_list(limit)


def _places(conversations: Sequence[Document], newest: int, most: int) -> list[Place]:
    by_activity = sorted(conversations, key=lambda row: (row["activity_at"], row["_id"]), reverse=True)
    return [_place(row) for row in by_activity[:newest] if row["members_count"] <= most]


def _place(row: Document) -> Place:
    peers = row.get("peers")
    return Place(row["_id"], (peers[0], peers[1]) if peers else None)
