"""Bringing the summaries in a message up to date, and telling its log: one transaction with the marks it settles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from storage.errors import NotFound
from storage.model import Change, Entry, EntryKind, NewEntry, ids
from storage.model.due import Due, DueKind
from storage.model.reaction import counted
from storage.mongo.amending import Amending, Decide
from storage.mongo.client import Client, Database, Session
from storage.mongo.due import DueMarks, Mark, Taken
from storage.mongo.log import Log
from storage.mongo.reactions import ReactionRows, reactions_of
from storage.mongo.transaction import transaction

INTERVAL_MS: Final = 1000
"""The log is told of a message's reactions, or of its thread, no more often than this."""

_PAGE: Final = 5
_PAGES: Final = 20

TOLD: Final = "told"
"""Where a message's body notes when its log was told of it (`at`), by kind."""


@dataclass(slots=True)
class _Outcome:
    """What a decision came to. `wait_ms`: the log was told of an earlier state a moment ago; come again after this."""

    wait_ms: int = 0
    gone: bool = False


class Telling:
    """Writes summaries that are due. Every method may raise Unavailable, Overloaded."""

    def __init__(
        self,
        db: Database,
        amending: Amending,
        marks: DueMarks,
        reactions: ReactionRows,
        clock: Callable[[], int],
    ) -> None:
        self._client: Client = db.client
        self._log = Log(db)
        self._amending = amending
        self._marks = marks
        self._reactions = reactions
        self._clock = clock

    async def tell(self, due: Due, *, at_once: bool = False) -> int:
        """Write what is due. Returns 0, or after how many ms to come again because the log was just told of it.

        `at_once`: however short ago that was.
        """
        match due.kind:
            case DueKind.REACTIONS:
                return await self._tell_reactions(due, at_once)
            case DueKind.THREAD:
                return await self._tell_thread(due, at_once)

    async def _tell_reactions(self, due: Due, at_once: bool) -> int:
        marks = await self._marks.of(due)
        if not marks:
            return 0
        outcome = _Outcome()
        decide = partial(_decide_reactions, marks, outcome, at_once)
        by = max(marks, key=lambda mark: mark.at).by
        written = await self._amend(due, EntryKind.REACTION_CHANGED, by, marks, decide, outcome)
        if written or outcome.wait_ms:
            return outcome.wait_ms
        if not outcome.gone:
            await self._settle(marks)
        elif await self._reactions.erase(due.conversation, due.offset):
            await self._marks.drop(marks)
        return 0

    async def _tell_thread(self, due: Due, at_once: bool) -> int:
        # What is derived below has everything that these stand for.
        marks = await self._marks.of(due)
        thread = ids.thread_id(due.conversation, due.offset)
        last = await self._last_reply(thread)
        outcome = _Outcome()
        if last is not None:
            decide = partial(_decide_thread, last, outcome, at_once)
            if await self._amend(due, EntryKind.THREAD_CHANGED, last.by, marks, decide, outcome) or outcome.wait_ms:
                return outcome.wait_ms
        await self._marks.drop(marks)
        return 0

    async def _amend(
        self, due: Due, kind: EntryKind, by: str, marks: Sequence[Mark], decide: Decide, outcome: _Outcome
    ) -> bool:
        """Whether the summary was written, by this call or by somebody else meanwhile."""
        new = NewEntry(due.conversation, kind, by, self._clock(), None, {})

        async def take(session: Session, _message: Entry) -> None:
            await self._marks.take(session, marks)

        try:
            return await self._amending.amend(new, due.offset, decide, within=take) is not None
        except Taken:
            return True
        except NotFound:
            outcome.gone = True
            return False

    async def _settle(self, marks: Sequence[Mark]) -> None:
        """The changes of these cancel each other out: all go, or none."""
        try:
            async with transaction(self._client) as session:
                await self._marks.take(session, marks)
        except Taken:
            pass

    async def _last_reply(self, thread: str) -> Entry | None:
        """The newest message. Looks back over a bounded number of other entries."""
        before: int | None = None
        for _ in range(_PAGES):
            page = await self._log.messages_before(thread, before, _PAGE)
            if page.entries:
                return page.entries[-1]
            if not page.has_before:
                return None
            before = page.oldest
        return None


def _decide_reactions(
    marks: Sequence[Mark], outcome: _Outcome, at_once: bool, message: Entry, entry: Entry
) -> Change | None:
    if "deleted_at" in message.body:
        outcome.gone = True
        return None
    present = reactions_of(message)
    counts = counted(present, (mark.changes for mark in marks))
    if counts == present:
        return None
    told = _told(message, DueKind.REACTIONS)
    outcome.wait_ms = 0 if at_once else _too_early_by(told, entry)
    if outcome.wait_ms:
        return None
    body = dict(message.body)
    body["reactions"] = counts
    if not counts:
        del body["reactions"]
    body[TOLD] = {**message.body.get(TOLD, {}), DueKind.REACTIONS.value: {"at": entry.at}}
    return Change(entry={"target": message.offset, "reactions": counts}, message=body)


def _decide_thread(last: Entry, outcome: _Outcome, at_once: bool, message: Entry, entry: Entry) -> Change | None:
    if replies_of(message) >= last.n:
        return None
    outcome.wait_ms = 0 if at_once else _too_early_by(_told(message, DueKind.THREAD), entry)
    if outcome.wait_ms:
        return None
    # Not what it says: a reply is edited and deleted in its own log, and nowhere else.
    reply = {"offset": last.offset, "sender": last.by, "created_at": last.at}
    thread = {"conversation": last.conversation, "replies": last.n, "last_reply": reply}
    told = {**message.body.get(TOLD, {}), DueKind.THREAD.value: {"at": entry.at}}
    return Change(
        entry={"target": message.offset, "thread": thread}, message={**message.body, "thread": thread, TOLD: told}
    )


def replies_of(message: Entry) -> int:
    """How many replies the message's row tells of."""
    return int(message.body.get("thread", {}).get("replies", 0))


def _told(message: Entry, kind: DueKind) -> Mapping[str, int]:
    told: Mapping[str, int] = message.body.get(TOLD, {}).get(kind.value, {})
    return told


def _too_early_by(told: Mapping[str, int], entry: Entry) -> int:
    return min(INTERVAL_MS, max(0, told.get("at", 0) + INTERVAL_MS - entry.at))
