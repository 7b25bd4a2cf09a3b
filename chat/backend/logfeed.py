"""Conversation logs as feeds of channels, and where their heads stand."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from chat.backend.recent import Piece, RecentPieces
from chat.usecases.access import Access
from chat.vocabulary import render
from realtime.ports import Feed
from realtime.protocol.messages import Publication
from storage.errors import StorageError
from storage.model import Entry
from storage.model.expiry import expires_next
from storage.mongo.conversations import STAMP_SLACK_MS
from storage.store import Store, clock_ms

MAX_CHANGED: Final = 1000
"""Conversations looked at in one query of the gap repair; a busier deployment takes several."""


@contextmanager
def away_as_connection_error() -> Iterator[None]:
    """The engine knows no storage: to it a store that is away is a ConnectionError."""
    try:
        yield
    except StorageError as error:
        raise ConnectionError(str(error)) from error


class LogFeed:
    """What follows an offset in a conversation's log, as publications.

    What is read also tells this process of membership changes that it may not have heard of: `on_entries` gets them.
    It is kept for a while for the others who have missed the same, as long as `cursor_of` (attached with the engine)
    says that nothing was heard of since that could have changed it.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        on_entries: Callable[[str, Sequence[Entry]], None],
        *,
        clock_ms: Callable[[], int] = clock_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._access = access
        self._on_entries = on_entries
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._recent = RecentPieces()
        self.cursor_of: Callable[[str], int | None] = _unknown

    async def after(self, channel: str, offset: int, *, limit: int, max_bytes: int) -> list[Publication]:
        """See `realtime.ports.Feed`."""
        cursor, now, now_ms = self.cursor_of(channel), self._monotonic(), self._clock_ms()
        if cursor is not None:
            known = self._recent.find(
                channel, offset, cursor=cursor, now=now, now_ms=now_ms, limit=limit, max_bytes=max_bytes
            )
            if known:
                return known
        publications, until_ms = await self._read(channel, offset, limit=limit, max_bytes=max_bytes)
        if cursor is not None and publications:
            upto = max(cursor, publications[-1].offset)
            self._recent.put(channel, Piece(offset, publications, upto, until_ms, now))
        return publications

    async def _read(
        self, channel: str, offset: int, *, limit: int, max_bytes: int
    ) -> tuple[list[Publication], int | None]:
        """And until when (ms UTC) they read like this: a message may delete itself."""
        conversation = channel.removeprefix(render.CONVERSATION_PREFIX)
        with away_as_connection_error():
            read = await self._store.log.range(conversation, offset, limit=limit, max_bytes=max_bytes)
        self._access.examined(conversation, read.entries)
        self._on_entries(conversation, read.entries)
        if read.entries and read.entries[0].offset != offset + 1:
            raise LookupError("the log no longer has what follows")
        return [render.publication(entry) for entry in read.entries], expires_next(read.entries)


def _unknown(_channel: str) -> int | None:
    return None


class LogHeads:
    """Tells the engine which conversations moved. Implements `realtime.backend.Heads`.

    The mark is the newest time stamp seen. Every round begins a little before it, because stamps are given by the
    server a moment before they can be read.
    """

    def __init__(self, store: Store, feed: LogFeed, look: Callable[[Iterable[str]], Awaitable[None]]) -> None:
        """`look` is called with the channels that moved."""
        self._store = store
        self._feed = feed
        self._look = look

    def feed(self, channel: str) -> Feed | None:
        return self._feed if channel.startswith(render.CONVERSATION_PREFIX) else None

    async def changed_since(self, mark: str) -> tuple[Sequence[tuple[str, int]], str]:
        with away_as_connection_error():
            newest = int(mark) if mark else await self._store.conversations.server_time()
            at, after = newest - STAMP_SLACK_MS, ""
            moved: list[tuple[str, int]] = []
            while True:
                page = await self._store.conversations.changed_since(at, after=after, limit=MAX_CHANGED)
                moved.extend((render.conversation_channel(one.conversation), one.head.offset) for one in page)
                if page:
                    at, after = page[-1].at, page[-1].conversation
                    newest = max(newest, at)
                if len(page) < MAX_CHANGED:
                    break
            await self._look(name for name, _ in moved)
        return moved, str(newest)
