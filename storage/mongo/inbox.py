"""One user's conversations: by last activity, all at once for a connecting session, and what changed since."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias

from pymongo import ASCENDING, DESCENDING

from storage.model import Conversation, Member, Membership
from storage.mongo.client import Database, Document, translated
from storage.mongo.gather import Gather
from storage.mongo.heads import read_rows
from storage.mongo.rows import HEAD_FIELDS, conversation_of, member_of, membership_of
from storage.mongo.schema import CONVERSATIONS, MEMBERS, USERS

MAX_CONVERSATIONS: Final = 10_000
"""Live memberships of one user that are looked at; those of a user with more are any of them."""


# Named here because the class below has a method called `list`.
Page: TypeAlias = list[tuple[Member, Conversation]]
Memberships: TypeAlias = list[Membership]
Documents: TypeAlias = list[Document]


CONNECT_BATCH: Final = 64
CONNECT_WAITING: Final = 20_000
MAX_SHARED: Final = 500
"""Memberships per connecting user, on average of a batch, that are read together."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The user's rows changed after the revision that was asked about, ended memberships included.

    `revision` is the one to ask with next time. `complete` is False when there were too many at once: ask again.
    """

    revision: int
    members: list[Member]
    complete: bool


class Inbox:
    """An async context manager: what connects together is read together. Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._members = db[MEMBERS]
        self._conversations = db[CONVERSATIONS]
        self._users = db[USERS]
        self._connecting: Gather[str, Memberships] = Gather(
            self._memberships, batch=CONNECT_BATCH, limit=CONNECT_WAITING, at_once=2
        )

    async def __aenter__(self) -> Self:
        await self._connecting.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._connecting.__aexit__(kind, error, traceback)

    async def list(
        self,
        user: str,
        *,
        limit: int,
        before: tuple[int, str] | None = None,
        archived: bool | None = None,
        pinned: bool | None = None,
    ) -> Page:
        """The user's conversations without threads, newest activity first.

        `before` is (activity_at, id) of the last one of the page before. `archived`, `pinned`: only those that the user
        has archived or pinned (True), only those that are not (False), or both (None).
        """
        members = {
            row["conversation"]: row
            for row in await self._rows(user, threads=False)
            if _is(row, "archived_at", archived) and _is(row, "pinned_at", pinned)
        }
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
        """All live memberships with their conversations' heads, newest activity first. Raises Overloaded.

        Followed threads are among them, as long as the user is a member of the conversation that they belong to.

        Two queries, shared by all who ask at the same time: after a restart everybody does.
        """
        return await self._connecting.ask(user)

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

    async def _memberships(self, users: Sequence[str]) -> Sequence[Memberships]:
        every = list(dict.fromkeys(users))
        query: Document = {"user": {"$in": every}, "left_at": {"$exists": False}}
        members = await self._found(query, len(every) * MAX_SHARED)
        if len(members) == len(every) * MAX_SHARED:
            # Somebody has very many: nobody's may be cut off because of that.
            members = [row for user in every for row in await self._rows(user)]
        belonging = {(row["user"], row["conversation"]) for row in members}
        members = [row for row in members if "parent" not in row or (row["user"], row["parent"]) in belonging]
        wanted = {row["conversation"] for row in members}
        conversations = {row["_id"]: row for row in await read_rows(self._db, wanted, HEAD_FIELDS)}
        found: dict[str, Memberships] = {user: [] for user in every}
        for row in members:
            conversation = conversations.get(row["conversation"])
            if conversation is not None:
                found[row["user"]].append(membership_of(row, conversation))
        for memberships in found.values():
            memberships.sort(key=lambda one: (one.activity_at, one.conversation), reverse=True)
        return [found[user] for user in users]

    async def _rows(self, user: str, *, threads: bool = True) -> Documents:
        query: Document = {"user": user, "left_at": {"$exists": False}}
        if not threads:
            query["parent"] = {"$exists": False}
        return await self._found(query, MAX_CONVERSATIONS)

    async def _found(self, query: Document, limit: int) -> Documents:
        with translated():
            return await self._members.find(query, limit=limit, batch_size=limit).to_list(limit)


def _is(row: Document, preference: str, wanted: bool | None) -> bool:
    return wanted is None or wanted is (preference in row.get("preferences", {}))
