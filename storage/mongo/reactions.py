"""Reactions: a row each, which is the truth. Adding or removing one commits the row, and that is its acknowledgement.

The message's row carries counts, brought up to date behind the rows: the counts that hold now are those and the changes
in the marks (see due.py). So nothing is ever counted, and however many react to one message at once, they touch no row
in common.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeAlias

from pymongo import ASCENDING, DeleteOne, InsertOne

from storage.errors import Conflict, LimitReached, NotFound, StorageError
from storage.model import Entry, EntryKind
from storage.model.due import Due, DueKind
from storage.model.expiry import as_of
from storage.model.keys import log_key
from storage.model.reaction import Reaction, Reactions, counted
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.due import DueMarks
from storage.mongo.grouping import Grouping
from storage.mongo.log import Log
from storage.mongo.schema import REACTIONS
from storage.mongo.transaction import transaction, until_uncontended

MAX_DIFFERENT: Final = 50
"""Different reactions to one message. Two processes that let the last one in at the same moment let both in."""

MAX_OWN: Final = 20
"""Different reactions of one user to one message."""

MAX_ERASED: Final = 20_000
"""Rows removed in one go when a message is gone; the rest in the next round."""

BATCH: Final = 200
WAITING: Final = 10_000
_AT_ONCE: Final = 4
_CHUNK: Final = 1000

Message: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Wish:
    user: str
    reaction: str
    add: bool
    at: int


class ReactionRows:
    """An async context manager: what is asked about one message at the same time is one transaction.

    `on_changed` is called with every message whose counts have changed, once that is committed. Every method may raise
    Unavailable.
    """

    def __init__(self, db: Database, marks: DueMarks, clock: Callable[[], int]) -> None:
        self.on_changed: Callable[[Due], None] = lambda _due: None
        self._client = db.client
        self._reactions = db[REACTIONS]
        self._log = Log(db)
        self._marks = marks
        self._clock = clock
        self._wishes: Grouping[Message, _Wish, Reactions] = Grouping(
            self._grant, batch=BATCH, limit=WAITING, at_once=_AT_ONCE
        )

    async def __aenter__(self) -> Self:
        await self._wishes.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._wishes.__aexit__(kind, error, traceback)

    async def add(self, conversation: str, offset: int, user: str, reaction: str, *, at: int) -> Reactions:
        """Add one, or leave it where it is there. The counts as they are with it.

        Raises NotFound (no message there), Conflict (it was deleted), LimitReached, Overloaded.
        """
        return await self._wishes.ask((conversation, offset), _Wish(user, reaction, True, at))

    async def remove(self, conversation: str, offset: int, user: str, reaction: str, *, at: int) -> Reactions:
        """Remove one if it is there. As `add`."""
        return await self._wishes.ask((conversation, offset), _Wish(user, reaction, False, at))

    async def of(self, conversation: str, offset: int, user: str) -> Reactions:
        """The counts now, and the user's own. Raises NotFound, Conflict."""
        async with transaction(self._client) as session:
            counts = await self._counts(session, conversation, offset)
            own = await self._own(session, conversation, offset, [user])
        return Reactions(counts, tuple(own[user]))

    async def page(
        self, conversation: str, offset: int, *, reaction: str | None = None, after: str = "", limit: int
    ) -> list[Reaction]:
        """Who reacted, of one reaction or of all: reaction by reaction (in no order that means anything), by user.

        `after`: "<reaction>|<user>" of the last one of the page before.
        """
        key = log_key(conversation, offset)
        low, high = (f"{key}|", f"{key}}}") if reaction is None else (f"{key}|{reaction}|", f"{key}|{reaction}}}")
        if after:
            low = max(low, f"{key}|{after}")
        with translated():
            found = self._reactions.find(
                {"_id": {"$gt": low, "$lt": high}}, sort=[("_id", ASCENDING)], limit=limit, batch_size=limit + 1
            )
            return [_reaction_of(key, row) for row in await found.to_list(limit)]

    async def erase(self, conversation: str, offset: int) -> bool:
        """Remove all rows of a message that is gone; False: there are more, come again."""
        key = log_key(conversation, offset)
        for _ in range(0, MAX_ERASED, _CHUNK):
            with translated():
                rows = await self._reactions.find(
                    {"_id": {"$gt": f"{key}|", "$lt": f"{key}}}"}},
                    {"_id": 1},
                    sort=[("_id", ASCENDING)],
                    limit=_CHUNK,
                    batch_size=_CHUNK + 1,
                ).to_list(_CHUNK)
                if rows:
                    await self._reactions.delete_many({"_id": {"$gt": f"{key}|", "$lte": rows[-1]["_id"]}})
            if len(rows) < _CHUNK:
                return True
        return False

    async def _grant(self, message: Message, wishes: Sequence[_Wish]) -> list[Reactions | StorageError]:
        return await until_uncontended(partial(self._attempt, message, wishes))

    async def _attempt(self, message: Message, wishes: Sequence[_Wish]) -> list[Reactions | StorageError]:
        conversation, offset = message
        key, due = log_key(conversation, offset), Due(DueKind.REACTIONS, conversation, offset)
        async with transaction(self._client) as session:
            counts = await self._counts(session, conversation, offset)
            before = await self._own(session, conversation, offset, list(dict.fromkeys(wish.user for wish in wishes)))
            plan = _Plan(counts, before)
            refused = [plan.take(wish) for wish in wishes]
            writes = plan.writes(key)
            if writes:
                with translated():
                    await self._reactions.bulk_write(writes, ordered=True, session=session)
                last = plan.last or wishes[-1]
                await self._marks.put(due, by=last.user, at=last.at, changes=plan.changes(), session=session)
        if writes:
            self.on_changed(due)
        return [
            refusal or Reactions(plan.counts, tuple(plan.own[wish.user]))
            for wish, refusal in zip(wishes, refused, strict=True)
        ]

    async def _counts(self, session: Session, conversation: str, offset: int) -> dict[str, int]:
        message = await self._log.get_within(session, conversation, offset)
        if message is None or message.kind is not EntryKind.MESSAGE_CREATED:
            raise NotFound(f"no message at {offset}")
        if "deleted_at" in as_of(message, self._clock()).body:
            raise Conflict("the message was deleted")
        marks = await self._marks.of(Due(DueKind.REACTIONS, conversation, offset), session=session)
        return counted(reactions_of(message), (mark.changes for mark in marks))

    async def _own(
        self, session: Session, conversation: str, offset: int, users: Sequence[str]
    ) -> dict[str, dict[str, None]]:
        key = log_key(conversation, offset)
        own: dict[str, dict[str, None]] = {user: {} for user in users}
        with translated():
            found = self._reactions.find(
                {"message": key, "user": {"$in": list(users)}}, session=session, batch_size=_CHUNK
            )
            for row in await found.to_list(None):
                one = _reaction_of(key, row)
                own[one.user][one.reaction] = None
        return own


class _Plan:
    """What a batch of wishes comes to, one after the other, before anything is written. Pure."""

    def __init__(self, counts: Mapping[str, int], own: Mapping[str, Mapping[str, None]]) -> None:
        self.counts = dict(counts)
        self.own = {user: dict(reactions) for user, reactions in own.items()}
        self.last: _Wish | None = None
        self._before = own
        self._at: dict[tuple[str, str], int] = {}

    def take(self, wish: _Wish) -> StorageError | None:
        """Take a wish in, or say why not."""
        own, reaction = self.own[wish.user], wish.reaction
        if wish.add is (reaction in own):
            return None
        if wish.add:
            if len(own) >= MAX_OWN:
                return LimitReached(f"at most {MAX_OWN} different reactions of one user to a message")
            if reaction not in self.counts and len(self.counts) >= MAX_DIFFERENT:
                return LimitReached(f"at most {MAX_DIFFERENT} different reactions to a message")
            own[reaction] = None
        else:
            del own[reaction]
        self.counts = counted(self.counts, [{reaction: 1 if wish.add else -1}])
        self._at[wish.user, reaction] = wish.at
        self.last = wish
        return None

    def writes(self, key: str) -> list[InsertOne[Document] | DeleteOne]:
        """The rows to be written: only what is not as it was."""
        writes: list[InsertOne[Document] | DeleteOne] = []
        for user, reaction, added in self._differences():
            row = f"{key}|{reaction}|{user}"
            if added:
                writes.append(InsertOne({"_id": row, "message": key, "user": user, "at": self._at[user, reaction]}))
            else:
                writes.append(DeleteOne({"_id": row}))
        return writes

    def changes(self) -> dict[str, int]:
        """How many more, or fewer, of each reaction there are than before."""
        return counted({}, ({reaction: 1 if added else -1} for _, reaction, added in self._differences()))

    def _differences(self) -> list[tuple[str, str, bool]]:
        found = []
        for user, own in self.own.items():
            before = self._before[user]
            found += [(user, reaction, True) for reaction in own if reaction not in before]
            found += [(user, reaction, False) for reaction in before if reaction not in own]
        return found


def reactions_of(message: Entry) -> Mapping[str, int]:
    """The counts as the message's row has them."""
    counts: Mapping[str, int] = message.body.get("reactions", {})
    return counts


def _reaction_of(key: str, row: Document) -> Reaction:
    reaction, _, user = row["_id"].removeprefix(f"{key}|").partition("|")
    return Reaction(user, reaction, int(row["at"]))
