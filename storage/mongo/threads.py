"""Threads: conversations below a message. Their rows are made with the first reply; who follows one has a member's row.

Who may read and write there is decided by the conversation that they belong to, never by these rows. They say who is
told, how far they have read, and are private to them: no entry tells of following.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeAlias

from pymongo import DESCENDING, UpdateOne

from storage.errors import Conflict, NotFound
from storage.model import (
    ORIGIN,
    Appended,
    Conversation,
    ConversationKind,
    Entry,
    EntryKind,
    Member,
    NewEntry,
    Position,
    Role,
    ids,
)
from storage.model.expiry import as_of
from storage.mongo.appender import Appender
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.grouping import Grouping
from storage.mongo.log import Log
from storage.mongo.rows import conversation_document, conversation_of, member_key, member_of, position_document
from storage.mongo.schema import CONVERSATIONS, FOLLOWED, MEMBERS
from storage.mongo.transaction import transaction, until_uncontended
from storage.mongo.users import Users

MAX_FOLLOWED: Final = 1000
"""Threads that one user follows: every connect reads them. The one followed longest makes room."""

_ROOM: Final = 100

BATCH: Final = 100
WAITING: Final = 10_000
_AT_ONCE: Final = 2

MAX_ROWS: Final = 10_000
"""Memberships and followed threads of one user that are looked at."""

_LIVE: Final[Document] = {"left_at": {"$exists": False}}

Page: TypeAlias = list[tuple[Member, Conversation]]


@dataclass(frozen=True, slots=True)
class Followed:
    """A thread and how far the user has read it. `changed`: the user did not follow it, or did, before."""

    read: Position
    changed: bool


@dataclass(frozen=True, slots=True)
class _Coming:
    user: str
    at: int


class Threads:
    """An async context manager: those who come to follow one thread at the same time are one transaction.

    Every method may raise Unavailable.
    """

    def __init__(self, db: Database, appender: Appender, users: Users) -> None:
        self._client = db.client
        self._log = Log(db)
        self._conversations = db[CONVERSATIONS]
        self._members = db[MEMBERS]
        self._appender = appender
        self._users = users
        self._coming: Grouping[str, _Coming, Followed] = Grouping(
            self._follow, batch=BATCH, limit=WAITING, at_once=_AT_ONCE
        )

    async def __aenter__(self) -> Self:
        await self._coming.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._coming.__aexit__(kind, error, traceback)

    def append(
        self, new: NewEntry, *, check: Callable[[], bool] | None = None, refused: Callable[[], None] | None = None
    ) -> "tuple[asyncio.Future[Appended | None], dict[str, Position]]":
        """As `Appender.append`, into a thread that may not be there yet, by somebody who may not follow it yet.

        What is missing is made in the same transaction. The second value is filled, by the time that the future is
        done, with those who follow it since then, and how far they have read. The future also raises NotFound (there is
        no message that the thread could be below) and Conflict (that message was deleted before anybody replied).
        """
        came: dict[str, Position] = {}
        return self._appender.append_with(new, partial(self._open, came), check=check, refused=refused), came

    async def follow(self, thread: str, user: str, *, at: int) -> Followed:
        """What was said before is read. Raises NotFound (nobody has replied there yet), Overloaded."""
        return await self._coming.ask(thread, _Coming(user, at))

    async def unfollow(self, thread: str, user: str, *, at: int) -> bool:
        """Whether the user did follow it."""
        return await until_uncontended(partial(self._unfollow, thread, user, at))

    async def follower(self, thread: str, user: str) -> Member | None:
        """The row of somebody who follows it now."""
        with translated():
            row = await self._members.find_one({"_id": member_key(thread, user), **_LIVE})
        return member_of(row) if row else None

    async def list(self, user: str, *, limit: int, before: tuple[int, str] | None = None) -> Page:
        """Followed threads of conversations that the user is a member of, newest activity first.

        Each with the follower's row, its role that of the conversation. `before`: (activity_at, id) of the last one of
        the page before.
        """
        with translated():
            rows = await self._members.find({"user": user, **_LIVE}, limit=MAX_ROWS, batch_size=MAX_ROWS).to_list(
                MAX_ROWS
            )
        roles = {row["conversation"]: row["role"] for row in rows}
        followed = {
            row["conversation"]: {**row, "role": roles[row["parent"]]} for row in rows if row.get("parent") in roles
        }
        query: Document = {"_id": {"$in": [*followed]}}
        if before is not None:
            at, thread = before
            query["$or"] = [{"activity_at": {"$lt": at}}, {"activity_at": at, "_id": {"$lt": thread}}]
        order = [("activity_at", DESCENDING), ("_id", DESCENDING)]
        with translated():
            found = await self._conversations.find(query, sort=order, limit=limit, batch_size=limit + 1).to_list(limit)
        return [(member_of(followed[row["_id"]]), conversation_of(row)) for row in found]

    async def _open(self, came: dict[str, Position], session: Session, entry: Entry) -> Entry:
        came.clear()
        wanted = {entry.by: entry.position}
        with translated():
            row = await self._conversations.find_one({"_id": entry.conversation}, {"_id": 1}, session=session)
            if row is None:
                root = await self._root(session, entry.conversation, entry.at)
                thread = _new_thread(entry, root)
                await self._conversations.insert_one(conversation_document(thread), session=session)
                wanted.setdefault(root.by, ORIGIN)
            came.update(await self._put(session, entry.conversation, wanted, at=entry.at, joined_offset=entry.offset))
        return entry

    async def _root(self, session: Session, thread: str, at: int) -> Entry:
        place = ids.thread_root(thread)
        root = None if place is None else await self._log.get_within(session, *place)
        if root is None or root.kind is not EntryKind.MESSAGE_CREATED:
            raise NotFound("there is no message to reply to")
        if "deleted_at" in as_of(root, at).body:
            raise Conflict("the message was deleted")
        return root

    async def _put(
        self, session: Session, thread: str, wanted: Mapping[str, Position], *, at: int, joined_offset: int
    ) -> dict[str, Position]:
        """Make those follow who do not; returns who they are."""
        keys = [member_key(thread, user) for user in wanted]
        present = self._members.find({"_id": {"$in": keys}, **_LIVE}, {"user": 1}, session=session)
        there = {row["user"] for row in await present.batch_size(len(keys) + 1).to_list(None)}
        coming = {user: read for user, read in wanted.items() if user not in there}
        if not coming:
            return {}
        revisions = await self._users.bump(session, coming.keys(), at=at)
        place = ids.thread_root(thread)
        writes = [
            UpdateOne(
                {"_id": member_key(thread, user)},
                {
                    "$set": {
                        "conversation": thread,
                        "parent": place[0] if place else None,
                        "user": user,
                        "role": Role.MEMBER.value,
                        "joined_at": at,
                        "joined_offset": joined_offset,
                        "read": position_document(read),
                        "revision": revisions[user],
                    },
                    "$unset": {"left_at": ""},
                },
                upsert=True,
            )
            for user, read in coming.items()
        ]
        await self._members.bulk_write(writes, session=session)
        for user in coming:
            await self._make_room(session, user, at=at, revision=revisions[user])
        return coming

    async def _make_room(self, session: Session, user: str, *, at: int, revision: int) -> None:
        """Of more than `MAX_FOLLOWED` threads the user follows those longest followed no longer."""
        query = {"user": user, "parent": {"$exists": True}, **_LIVE}
        order = [("joined_at", DESCENDING)]
        found = self._members.find(query, {"_id": 1}, sort=order, skip=MAX_FOLLOWED, limit=_ROOM, session=session)
        found = found.hint(FOLLOWED)
        beyond = [row["_id"] for row in await found.batch_size(_ROOM + 1).to_list(_ROOM)]
        if beyond:
            gone = {"$set": {"left_at": at, "revision": revision}}
            await self._members.update_many({"_id": {"$in": beyond}}, gone, session=session)

    async def _follow(self, thread: str, coming: Sequence[_Coming]) -> Sequence[Followed]:
        end = await self._log.tail(thread)
        return await until_uncontended(partial(self._follow_together, thread, coming, end))

    async def _follow_together(self, thread: str, coming: Sequence[_Coming], end: Position) -> Sequence[Followed]:
        users = list(dict.fromkeys(one.user for one in coming))
        at = max(one.at for one in coming)
        with translated():
            async with transaction(self._client) as session:
                if await self._conversations.find_one({"_id": thread}, {"_id": 1}, session=session) is None:
                    raise NotFound("nobody has replied there yet")
                wanted = dict.fromkeys(users, end)
                came = await self._put(session, thread, wanted, at=at, joined_offset=end.offset)
                query = {"_id": {"$in": [member_key(thread, user) for user in users]}}
                found = self._members.find(query, session=session).batch_size(len(users) + 1)
                reads = {row["user"]: member_of(row).read for row in await found.to_list(None)}
        # Who asks twice has come once.
        first = dict(came)
        return [Followed(reads.get(one.user, end), first.pop(one.user, None) is not None) for one in coming]

    async def _unfollow(self, thread: str, user: str, at: int) -> bool:
        key = {"_id": member_key(thread, user), **_LIVE}
        with translated():
            async with transaction(self._client) as session:
                if await self._members.find_one(key, {"_id": 1}, session=session) is None:
                    return False
                revisions = await self._users.bump(session, [user], at=at)
                changes = {"left_at": at, "revision": revisions[user]}
                await self._members.update_one(key, {"$set": changes}, session=session)
        return True


def _new_thread(entry: Entry, root: Entry) -> Conversation:
    return Conversation(
        id=entry.conversation,
        kind=ConversationKind.THREAD,
        title="",
        custom={},
        external_id=None,
        created_by=entry.by,
        created_at=entry.at,
        updated_at=entry.at,
        members_count=0,
        head=entry.position,
        last_message=None,
        activity_at=entry.at,
        parent=root.conversation,
    )
