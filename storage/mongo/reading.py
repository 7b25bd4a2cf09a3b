"""Read positions: how far each user has read, moved forward only, under the user's revision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self

from pymongo import UpdateOne

from storage.errors import NotFound
from storage.model import Member, Position
from storage.mongo.client import Database, translated
from storage.mongo.gather import Gather
from storage.mongo.log import Log
from storage.mongo.rows import member_key, member_of, position_document
from storage.mongo.schema import MEMBERS
from storage.mongo.transaction import transaction, until_uncontended
from storage.mongo.users import Users
from storage.stats import Stats

BATCH: Final = 100
WAITING: Final = 4096


@dataclass(frozen=True, slots=True)
class ReadMark:
    """Where the user's read position is now, under which revision, and whether this call moved it."""

    position: Position
    revision: int
    moved: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    conversation: str
    user: str
    position: Position

    @property
    def key(self) -> str:
        return member_key(self.conversation, self.user)


class Reading:
    """An async context manager: marks that come together are committed together, in one transaction."""

    def __init__(
        self,
        db: Database,
        users: Users,
        *,
        tail: Callable[[str], Position | None],
        clock: Callable[[], int],
        stats: Stats,
    ) -> None:
        """`tail` is what this process knows of a log's end without asking (`Appender.tail`)."""
        self._client = db.client
        self._members = db[MEMBERS]
        self._log = Log(db)
        self._users = users
        self._tail = tail
        self._clock = clock
        self._stats = stats
        self._gather: Gather[_Mark, ReadMark | None] = Gather(self._commit, batch=BATCH, limit=WAITING)

    async def __aenter__(self) -> Self:
        await self._gather.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._gather.__aexit__(kind, error, traceback)

    async def mark_read(self, conversation: str, user: str, offset: int) -> ReadMark:
        """The user has read up to `offset`; beyond the last entry means up to it. Never moves back.

        Raises NotFound (no member), Unavailable, Overloaded.
        """
        tail = self._tail(conversation)
        known = tail is not None and tail.offset == offset
        position = tail if tail is not None and known else await self._log.position_at(conversation, offset)
        mark = await self._gather.ask(_Mark(conversation, user, position))
        if mark is None:
            raise NotFound(f"{user} is no member of {conversation}")
        return mark

    async def _commit(self, marks: Sequence[_Mark]) -> list[ReadMark | None]:
        return await until_uncontended(partial(self._attempt, marks))

    async def _attempt(self, marks: Sequence[_Mark]) -> list[ReadMark | None]:
        furthest: dict[str, _Mark] = {}
        for mark in marks:
            known = furthest.get(mark.key)
            if known is None or known.position < mark.position:
                furthest[mark.key] = mark
        async with transaction(self._client) as session:
            with translated():
                rows = await self._members.find(
                    {"_id": {"$in": list(furthest)}, "left_at": {"$exists": False}},
                    session=session,
                    batch_size=len(furthest) + 1,
                ).to_list(None)
                members: dict[str, Member] = {row["_id"]: member_of(row) for row in rows}
                moving = [
                    mark
                    for key, mark in furthest.items()
                    if key in members and members[key].read.offset < mark.position.offset
                ]
                revisions: dict[str, int] = {}
                if moving:
                    revisions = await self._users.bump(session, {mark.user for mark in moving}, at=self._clock())
                    await self._members.bulk_write(
                        [
                            UpdateOne(
                                {"_id": mark.key},
                                {"$set": {"read": position_document(mark.position), "revision": revisions[mark.user]}},
                            )
                            for mark in moving
                        ],
                        session=session,
                    )
        self._stats.reads_moved += len(moving)
        moved = {mark.key: ReadMark(mark.position, revisions[mark.user], moved=True) for mark in moving}
        return [moved.get(mark.key) or _unmoved(members.get(mark.key)) for mark in marks]


def _unmoved(member: Member | None) -> ReadMark | None:
    return ReadMark(member.read, member.revision, moved=False) if member is not None else None
