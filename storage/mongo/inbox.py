"""One user's conversations: by last activity, all at once for a connecting session, and what changed since."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from pymongo import ASCENDING, DESCENDING

from storage.model import Conversation, Member, Membership
from storage.mongo.client import Database, Document, translated
from storage.mongo.rows import HEAD_FIELDS, conversation_of, member_of, membership_of
from storage.mongo.schema import CONVERSATIONS, MEMBERS, USERS

MAX_CONVERSATIONS: Final = 10_000
"""Live memberships of one user that are looked at; those of a user with more are any of them."""


# Named here because the class below has a method called `list`.
Page: TypeAlias = list[tuple[Member, Conversation]]
Memberships: TypeAlias = list[Membership]
Documents: TypeAlias = list[Document]


@dataclass(frozen=True, slots=True)
class Changes:
    """The user's rows changed after the revision that was asked about, ended memberships included.

    `revision` is the one to ask with next time. `complete` is False when there were too many at once: ask again.
    """

    revision: int
    members: list[Member]
    complete: bool


class Inbox:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._members = db[MEMBERS]
        self._conversations = db[CONVERSATIONS]
        self._users = db[USERS]

    async def list(self, user: str, *, limit: int, before: tuple[int, str] | None = None) -> Page:
        """The user's conversations, newest activity first.

        `before` is (activity_at, id) of the last one of the page before.
        """
        members = {row["conversation"]: row for row in await self._rows(user)}
        query: Document = {"_id": {"$in": [*members]}}
        if before is not None:
            at, conversation = before
            query["$or"] = [{"activity_at": {"$lt": at}}, {"activity_at": at, "_id": {"$lt": conversation}}]
        order = [("activity_at", DESCENDING), ("_id", DESCENDING)]
        with translated():
            found = self._conversations.find(query, sort=order, limit=limit, batch_size=limit + 1)
            rows = await found.to_list(limit)
        return [(member_of(members[row["_id"]]), conversation_of(row)) for row in rows]

    async def of_user_for_connect(self, user: str) -> Memberships:
        """All live memberships with their conversations' heads, newest activity first. Two queries."""
        members = {row["conversation"]: row for row in await self._rows(user)}
        if not members:
            return []
        with translated():
            rows = await self._conversations.find(
                {"_id": {"$in": [*members]}}, HEAD_FIELDS, batch_size=len(members) + 1
            ).to_list(None)
        memberships = [membership_of(members[row["_id"]], row) for row in rows]
        memberships.sort(key=lambda one: (one.activity_at, one.conversation), reverse=True)
        return memberships

    async def changes(self, user: str, revision: int, *, limit: int = 1000) -> Changes:
        """What changed in the user's rows after `revision`, ascending by revision."""
        with translated():
            # The counter first: whatever it counted is committed, so the rows read after it miss nothing up to it.
            counter = await self._users.find_one({"_id": user}, {"revision": 1})
            present = int(counter.get("revision", 0)) if counter else 0
            if present <= revision:
                return Changes(max(present, 0), [], complete=True)
            found = self._members.find(
                {"user": user, "revision": {"$gt": revision}},
                sort=[("revision", ASCENDING)],
                limit=limit + 1,
                batch_size=limit + 2,
            )
            members = [member_of(row) for row in await found.to_list(limit + 1)]
        if len(members) <= limit:
            return Changes(present, members, complete=True)
        # Rows of one revision stay together: what is cut off has a revision above the one that is given.
        cut = members[-1].revision
        kept = [member for member in members if member.revision < cut]
        return Changes(kept[-1].revision if kept else revision, kept, complete=False)

    async def _rows(self, user: str) -> Documents:
        query = {"user": user, "left_at": {"$exists": False}}
        with translated():
            found = self._members.find(query, limit=MAX_CONVERSATIONS, batch_size=MAX_CONVERSATIONS)
            return await found.to_list(MAX_CONVERSATIONS)
