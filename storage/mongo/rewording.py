"""Editing, deleting and pinning messages: what changes besides the message and its log, in the same transaction."""

from collections.abc import Callable
from typing import Final, TypeAlias

from storage.errors import LimitReached, NotFound
from storage.model import Appended, Change, Entry, NewEntry
from storage.model.changes import deleted, pinned, unpinned
from storage.model.due import Due, DueKind
from storage.mongo.amending import Amending, Decide
from storage.mongo.client import Database, Session, translated
from storage.mongo.due import DueMarks
from storage.mongo.schema import CONVERSATIONS

MAX_PINS: Final = 100
"""Pinned messages of one conversation."""

Permit: TypeAlias = Callable[[Entry, Entry], None]
"""Given the message as it stands and the entry that is to tell of the change: raises a StorageError if it may not be.
Pure, may run several times."""

Check: TypeAlias = Callable[[], bool] | None


def _permitted(_message: Entry, _entry: Entry) -> None:
    """Whatever it is."""


class Rewording:
    """Each method takes the entry that is to tell of the change (its body does not matter) and the message's offset.

    It returns that entry, or None if there is nothing to change, and may raise Unavailable, Overloaded,
    PreconditionFailed, NotFound, and what `permit` or `decide` raises. With a key in `new` a repeat is answered with
    the first one's entry.
    """

    def __init__(self, db: Database, amending: Amending, marks: DueMarks, note: Callable[[Due], None]) -> None:
        """`note` is told of messages whose reactions are to go."""
        self._conversations = db[CONVERSATIONS]
        self._amending = amending
        self._marks = marks
        self._note = note

    async def edit(self, new: NewEntry, target: int, decide: Decide, *, check: Check = None) -> Appended | None:
        """Let the message say something else."""
        return await self._amending.amend(new, target, decide, check=check)

    async def delete(
        self,
        new: NewEntry,
        target: int,
        *,
        reason: str | None = None,
        permit: Permit = _permitted,
        check: Check = None,
    ) -> Appended | None:
        """Delete it for all: what it said is gone from the log, and it is pinned no more.

        Who reacted goes right after, by a mark that is durable: they may be very many.
        """
        due = Due(DueKind.REACTIONS, new.conversation, target)
        reacted = False

        def decide(message: Entry, entry: Entry) -> Change | None:
            permit(message, entry)
            return deleted(message, entry, reason)

        async def within(session: Session, message: Entry) -> None:
            nonlocal reacted
            if "pinned_at" in message.body:
                await self._unpin(session, message)
            reacted = "reactions" in message.body or bool(await self._marks.of(due, session=session))
            if reacted:
                await self._marks.put(due, by=new.by, at=new.at, session=session)

        appended = await self._amending.amend(new, target, decide, within=within, check=check)
        if reacted:
            self._note(due)
        return appended

    async def pin(
        self, new: NewEntry, target: int, *, permit: Permit = _permitted, check: Check = None
    ) -> Appended | None:
        """Pin it. Raises LimitReached beyond MAX_PINS."""

        def decide(message: Entry, entry: Entry) -> Change | None:
            permit(message, entry)
            return pinned(message, entry)

        return await self._amending.amend(new, target, decide, within=self._pin, check=check)

    async def unpin(
        self, new: NewEntry, target: int, *, permit: Permit = _permitted, check: Check = None
    ) -> Appended | None:
        """Pin it no more."""

        def decide(message: Entry, entry: Entry) -> Change | None:
            permit(message, entry)
            return unpinned(message)

        return await self._amending.amend(new, target, decide, within=self._unpin, check=check)

    async def _pin(self, session: Session, message: Entry) -> None:
        with translated():
            row = await self._conversations.find_one({"_id": message.conversation}, {"pins": 1}, session=session)
            if row is None:
                raise NotFound(f"no conversation {message.conversation}")
            if len(row.get("pins", ())) >= MAX_PINS:
                raise LimitReached(f"at most {MAX_PINS} messages are pinned in a conversation")
            await self._conversations.update_one(
                {"_id": message.conversation}, {"$push": {"pins": message.offset}}, session=session
            )

    async def _unpin(self, session: Session, message: Entry) -> None:
        with translated():
            await self._conversations.update_one(
                {"_id": message.conversation}, {"$pull": {"pins": message.offset}}, session=session
            )
