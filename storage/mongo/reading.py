"""How far each member has read and received: moved forward only, private changes under the user's revision."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Final, Self

from pymongo import UpdateOne

from storage.errors import NotFound
from storage.model import ORIGIN, Marked, Marks, Member, Position, marked
from storage.mongo.client import Database, Document, translated
from storage.mongo.gather import Gather
from storage.mongo.heads import Extent, read_extents
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
    """Marks of one member. `counted`: it is to be told where the log begins and ends, too."""

    conversation: str
    user: str
    marks: Marks
    counted: bool

    @property
    def key(self) -> str:
        return member_key(self.conversation, self.user)

    def then(self, later: "_Asked") -> "_Asked":
        return replace(self, marks=self.marks.then(later.marks), counted=self.counted or later.counted)


class Reading:
    """An async context manager: marks that come together are committed together, in one transaction, and what they need
    to know of their logs is asked once for each conversation.
    """

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

    async def mark(self, conversation: str, user: str, marks: Marks, *, counted: bool = False) -> Marked:
        """Apply the marks to the user's row; an offset beyond the last entry means up to it. `counted`: with the bounds
        of the log, as they are after that.

        Where several come together, each is told that what all of them changed was changed. Raises NotFound (no
        member), Unavailable, Overloaded.
        """
        outcome = await self._gather.ask(_Asked(conversation, user, marks, counted))
        if outcome is None:
            raise NotFound(f"{user} is no member of {conversation}")
        return outcome

    async def _commit(self, asked: Sequence[_Asked]) -> list[Marked | None]:
        together: dict[str, _Asked] = {}
        for one in asked:
            before = together.get(one.key)
            together[one.key] = one if before is None else before.then(one)
        offsets = {
            (one.conversation, offset)
            for one in together.values()
            for offset in (one.marks.read, one.marks.delivered)
            if offset
        }
        places = dict(zip(offsets, await asyncio.gather(*(self._position(*one) for one in offsets)), strict=True))
        outcomes = await until_uncontended(partial(self._attempt, together, places))
        self._stats.reads_moved += sum(outcome.read_moved for outcome in outcomes.values())
        bounds = await self._bounds({one.conversation for one in together.values() if one.counted})
        for key, outcome in outcomes.items():
            extent = bounds.get(together[key].conversation)
            if extent is not None:
                outcomes[key] = replace(outcome, floor=extent.floor, head=extent.head)
        return [outcomes.get(one.key) for one in asked]

    async def _position(self, conversation: str, offset: int) -> Position:
        tail = self._tail(conversation)
        known = tail is not None and tail.offset == offset
        return tail if tail is not None and known else await self._log.position_at(conversation, offset)

    async def _bounds(self, conversations: Collection[str]) -> dict[str, Extent]:
        """Their ends exactly, which rows of conversations are a second behind."""
        if not conversations:
            return {}
        extents = await read_extents(self._db, conversations)
        heads = await asyncio.gather(*(self._log.tail(conversation) for conversation in extents))
        return {name: Extent(extents[name].floor, head) for name, head in zip(extents, heads, strict=True)}

    async def _attempt(
        self, asked: Mapping[str, _Asked], places: Mapping[tuple[str, int], Position]
    ) -> dict[str, Marked]:
        async with transaction(self._client) as session:
            with translated():
                found = self._members.find(
                    {"_id": {"$in": list(asked)}, "left_at": {"$exists": False}},
                    session=session,
                    batch_size=len(asked) + 1,
                )
                rows = {row["_id"]: member_of(row) for row in await found.to_list(None)}
                outcomes = {
                    key: marked(
                        member,
                        asked[key].marks,
                        places.get((member.conversation, asked[key].marks.read), ORIGIN),
                        places.get((member.conversation, asked[key].marks.delivered), ORIGIN),
                    )
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
