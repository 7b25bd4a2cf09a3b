"""How far somebody has read."""

from collections.abc import Callable
from typing import Final

from chat.usecases.access import Access
from chat.usecases.failures import told
from chat.usecases.ports import Announcer
from chat.usecases.rights import Right
from chat.vocabulary import render
from chat.vocabulary.events import Read, Unread
from chat.vocabulary.reading import ReadMark, ReadResult
from storage.store import Store

MAX_MEMBERS_TOLD: Final = 100
"""Receipts are shown in conversations of at most this many members: beyond it they would outnumber the messages."""


class ReadPositions:
    def __init__(self, store: Store, access: Access, announcer: Announcer, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._clock_ms = clock_ms

    async def mark(self, user: str, request: ReadMark) -> ReadResult:
        """Move the position forward; an older offset leaves it where it is."""
        await self._access.require(user, request.conversation, Right.READ)
        with told():
            mark = await self._store.reading.mark_read(request.conversation, user, request.offset)
            record = await self._store.conversations.get(request.conversation)
            # Not the summary's: it trails the log, and nothing would correct what is told here.
            head = await self._store.log.tail(request.conversation)
        read = render.position(mark.position)
        unread = max(0, head.n - mark.position.n)
        if mark.moved:
            self._announcer.personal(user, Unread(request.conversation, read, unread))
            if record is not None and record.members_count <= MAX_MEMBERS_TOLD:
                self._announcer.ephemeral(
                    request.conversation, Read(request.conversation, user, self._clock_ms(), read)
                )
        return ReadResult(read, unread)
