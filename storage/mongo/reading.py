"""How far each member has read and received: moved forward only, private changes under the user's revision."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Final, Self

from pymongo import UpdateOne

from storage.errors import NotFound
from storage.model import ORIGIN, Marked, Marks, Member, Position, marked
from storage.mongo.client import Database, Document, translated
from storage.mongo.gather import Gather
from storage.mongo.heads import read_extents
from storage.mongo.log import Log
from storage.mongo.rows import member_key, member_of, position_document
from storage.mongo.schema import MEMBERS
from storage.mongo.transaction import transaction, until_uncontended
from storage.mongo.users import Users
from storage.stats import Stats

BATCH: Final = 100
WAITING: Final = 4096


@dataclass(frozen=True, slots=True)
class _Asked:
    """Marks of one member, with the places that their offsets stand for."""

    conversation: str
    user: str
    marks: Marks
    read: Position = ORIGIN
    delivered: Position = ORIGIN

    @property
    def key(self) -> str:
        return member_key(self.conversation, self.user)

    def then(self, later: "_Asked") -> "_Asked":
        return replace(
            self,
            marks=self.marks.then(later.marks),
            read=max(self.read, later.read),
            delivered=max(self.delivered, later.delivered),
        )


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
        self._db = db
        self._client = db.client
        self._members = db[MEMBERS]
        self._log = Log(db)
        self._users = users
        self._tail = tail
        self._clock = clock
        self._stats = stats
        self._gather: Gather[_Asked, Marked | None] = Gather(self._commit, batch=BATCH, limit=WAITING)

    async def __aenter__(self) -> Self:
        await self._gather.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._gather.__aexit__(kind, error, traceback)

    async def mark(self, conversation: str, user: str, marks: Marks) -> Marked:
        """Apply the marks to the user's row; an offset beyond the last entry means up to it.

        Where several come together, each is told that what all of them changed was changed. Raises NotFound (no
        member), Unavailable, Overloaded.
        """
        read, delivered = await asyncio.gather(
            self._position(conversation, marks.read), self._position(conversation, marks.delivered)
        )
        outcome = await self._gather.ask(_Asked(conversation, user, marks, read, delivered))
        if outcome is None:
            raise NotFound(f"{user} is no member of {conversation}")
        return outcome

    async def _position(self, conversation: str, offset: int) -> Position:
        if not offset:
            return ORIGIN
        tail = self._tail(conversation)
        known = tail is not None and tail.offset == offset
        return tail if tail is not None and known else await self._log.position_at(conversation, offset)

    async def _commit(self, asked: Sequence[_Asked]) -> list[Marked | None]:
        together: dict[str, _Asked] = {}
        for one in asked:
            before = together.get(one.key)
            together[one.key] = one if before is None else before.then(one)
        outcomes = await until_uncontended(partial(self._attempt, together))
        self._stats.reads_moved += sum(outcome.read_moved for outcome in outcomes.values())
        extents = await read_extents(self._db, {one.conversation for one in asked})
        for key, outcome in outcomes.items():
            extent = extents.get(outcome.member.conversation)
            if extent is not None:
                outcomes[key] = replace(outcome, floor=extent.floor)
        return [outcomes.get(one.key) for one in asked]

    async def _attempt(self, asked: Mapping[str, _Asked]) -> dict[str, Marked]:
        async with transaction(self._client) as session:
            with translated():
                found = self._members.find(
                    {"_id": {"$in": list(asked)}, "left_at": {"$exists": False}},
                    session=session,
                    batch_size=len(asked) + 1,
                )
                rows = {row["_id"]: member_of(row) for row in await found.to_list(None)}
                outcomes = {
                    key: marked(member, asked[key].marks, asked[key].read, asked[key].delivered)
                    for key, member in rows.items()
                }
                private = {outcome.member.user for outcome in outcomes.values() if outcome.private}
                # What was only received is no news to the user's other devices.
                revisions = await self._users.bump(session, private, at=self._clock()) if private else {}
                writes: list[UpdateOne] = []
                for key, outcome in outcomes.items():
                    if outcome.private:
                        member = replace(outcome.member, revision=revisions[outcome.member.user])
                        outcomes[key] = replace(outcome, member=member)
                    if outcome.changed:
                        writes.append(UpdateOne({"_id": key}, _update(outcomes[key])))
                if writes:
                    await self._members.bulk_write(writes, session=session)
        return outcomes


def _update(outcome: Marked) -> Document:
    member: Member = outcome.member
    # A sender's read position may move meanwhile, behind the log.
    update: Document = {"$max": {"delivered": position_document(member.delivered)}}
    fields: Document = {}
    if outcome.read_moved:
        update["$max"]["read"] = position_document(member.read)
    if outcome.private:
        fields["revision"] = member.revision
    if outcome.unread_changed and member.unread_from is not None:
        fields["unread_from"] = member.unread_from
    elif outcome.unread_changed:
        update["$unset"] = {"unread_from": ""}
    if fields:
        update["$set"] = fields
    return update
