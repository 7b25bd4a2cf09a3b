"""How far somebody has read and received, and what the others are told of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, Self

from chat.usecases.access import Access, Standing, parent_of
from chat.usecases.failures import told
from chat.usecases.futures import mapped
from chat.usecases.pacing import Pace
from chat.usecases.ports import Announcer, Limits
from chat.usecases.receipts import Receipts
from chat.usecases.rights import Right
from chat.usecases.unread import Unreads
from chat.vocabulary import render
from chat.vocabulary.events import Delivered, Read, Unread
from chat.vocabulary.reading import DeliveredMark, DeliveredResult, ReadMark, ReadMarkUnread, ReadResult
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import NotFound
from storage.model import Marked, Marks
from storage.store import Store


@dataclass(frozen=True, slots=True)
class _Asked:
    """Marks of one member that are made together. `standing` is what the member is there; `counted`: somebody wants to
    know what is unread.
    """

    user: str
    conversation: str
    standing: Standing
    marks: Marks
    counted: bool

    @property
    def key(self) -> str:
        return f"{self.conversation}|{self.user}"

    def then(self, later: "_Asked") -> "_Asked":
        return replace(later, marks=self.marks.then(later.marks), counted=self.counted or later.counted)


class OnRead(Protocol):
    def __call__(self, user: str, conversation: str, offset: int) -> None:
        """The user has read up to there on some device. At once, and never fails."""


def _nothing(user: str, conversation: str, offset: int) -> None:
    del user, conversation, offset


class ReadPositions:
    """Marks of one member in one conversation cost one write a second: the first at once, the rest together.

    An async context manager: at its end what waits is written. Everything raises ClientError.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        announcer: Announcer,
        receipts: Receipts,
        unreads: Unreads,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._receipts = receipts
        self._unreads = unreads
        self._limits = limits
        self._clock_ms = clock_ms
        self._pace: Pace[_Asked, tuple[Marked, ReadResult]] = Pace(self._make, _Asked.then)
        self.on_read: OnRead = _nothing

    async def __aenter__(self) -> Self:
        await self._pace.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pace.__aexit__(kind, error, traceback)

    async def mark(self, user: str, request: ReadMark) -> "asyncio.Future[ReadResult]":
        """Move the position forward; an older offset leaves it where it is."""
        return await self._read(user, request.conversation, Marks(read=request.offset))

    async def mark_unread(self, user: str, request: ReadMarkUnread) -> "asyncio.Future[ReadResult]":
        """Marked so beside the position, which stays."""
        await self._access.require(user, request.conversation, Right.READ)
        with told():
            end = (await self._store.log.tail(request.conversation)).offset
        if request.offset > end:
            raise ClientError(codes.BAD_REQUEST, f"is beyond the last entry, {end}", "offset")
        return await self._read(user, request.conversation, Marks(unread_from=request.offset))

    async def mark_delivered(self, user: str, request: DeliveredMark) -> "asyncio.Future[DeliveredResult]":
        """Move the position forward; an older offset leaves it where it is, and it is never behind what is read."""
        marks = Marks(delivered=request.offset)
        return mapped(await self._ask(user, request.conversation, marks, counted=False), _delivered)

    async def _read(self, user: str, conversation: str, marks: Marks) -> "asyncio.Future[ReadResult]":
        return mapped(await self._ask(user, conversation, marks, counted=True), lambda outcome: outcome[1])

    async def _ask(
        self, user: str, conversation: str, marks: Marks, *, counted: bool
    ) -> "asyncio.Future[tuple[Marked, ReadResult]]":
        standing = await self._access.require(user, conversation, Right.READ)
        asked = _Asked(user, conversation, standing, marks, counted)
        return self._pace.ask(asked.key, asked)

    async def _make(self, asked: _Asked) -> tuple[Marked, ReadResult]:
        """Write the marks, and tell of what they moved."""
        with told():
            try:
                outcome = await self._store.reading.mark(
                    asked.conversation, asked.user, asked.marks, counted=asked.counted
                )
            except NotFound:
                if parent_of(asked.conversation) is None:
                    raise
                raise ClientError(codes.PERMISSION_DENIED, "follow the thread first", "conversation") from None
            result = await self._result(asked, outcome)
        if asked.marks.read:
            # Also when it did not move: whoever says it again may not have been heard to the end.
            self.on_read(asked.user, asked.conversation, outcome.member.read.offset)
        if outcome.private:
            self._announcer.personal(
                asked.user,
                Unread(asked.conversation, result.read, result.unread, result.mentions, result.unread_from),
            )
        if outcome.read_moved or outcome.delivered_moved:
            await self._show(asked, outcome)
        return outcome, result

    async def _result(self, asked: _Asked, outcome: Marked) -> ReadResult:
        member = outcome.member
        if not asked.counted:
            return ReadResult(render.position(member.read), 0, 0, member.unread_from)
        # What was removed unread is not unread.
        read = max(member.read, outcome.floor)
        unread = max(0, outcome.head.n - read.n)
        mentions = await self._unreads.mentions(asked.user, {asked.conversation: read.offset}) if unread else {}
        return ReadResult(render.position(read), unread, mentions.get(asked.conversation, 0), member.unread_from)

    async def _show(self, asked: _Asked, outcome: Marked) -> None:
        """Tell the others, where there are few enough of them and the member shows it."""
        if asked.standing.facts.members_count > self._limits.receipts_members:
            return
        if not await self._receipts.shown_live(asked.user, asked.standing):
            return
        conversation, at, member = asked.conversation, self._clock_ms(), outcome.member
        if outcome.read_moved:
            self._announcer.ephemeral(conversation, Read(conversation, asked.user, at, render.position(member.read)))
        if outcome.delivered_moved:
            delivered = render.position(member.delivered)
            self._announcer.ephemeral(conversation, Delivered(conversation, asked.user, at, delivered))


def _delivered(outcome: tuple[Marked, ReadResult]) -> DeliveredResult:
    return DeliveredResult(render.position(outcome[0].member.delivered))
