"""Conversation logs as feeds of channels, and where their heads stand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from chat.usecases.access import Access
from chat.vocabulary import render
from realtime.ports import Feed
from realtime.protocol.messages import Publication
from storage.errors import StorageError
from storage.model import Entry
from storage.mongo.conversations import STAMP_SLACK_MS
from storage.store import Store

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
    """

    def __init__(self, store: Store, access: Access, on_entries: Callable[[str, Sequence[Entry]], None]) -> None:
        self._store = store
        self._access = access
        self._on_entries = on_entries

    async def after(self, channel: str, offset: int, *, limit: int, max_bytes: int) -> list[Publication]:
        """See `realtime.ports.Feed`."""
        conversation = channel.removeprefix(render.CONVERSATION_PREFIX)
        with away_as_connection_error():
            read = await self._store.log.range(conversation, offset, limit=limit, max_bytes=max_bytes)
        self._access.examined(conversation, read.entries)
        self._on_entries(conversation, read.entries)
        if read.entries and read.entries[0].offset != offset + 1:
            raise LookupError("the log no longer has what follows")
        return [render.publication(entry) for entry in read.entries]


class LogHeads:
    """Tells the engine which conversations moved. Implements `realtime.backend.Heads`.

    The mark is the newest time stamp seen. Every round begins a little before it, because stamps are given by the
    server a moment before they can be read.
    """

    def __init__(self, store: Store, feed: LogFeed) -> None:
        self._store = store
        self._feed = feed

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
                    return moved, str(newest)
