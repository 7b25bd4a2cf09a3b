"""Pages of messages, for many who ask for the same one: after an outage, or of a conversation everybody opens."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

from storage.mongo.gather import Gather
from storage.mongo.log import Log, LogPage

AT_ONCE: Final = 12
"""Reads at a time. Fewer than the process has sockets to MongoDB: what is written needs some of them."""

WAITING: Final = 10_000


class _Page(NamedTuple):
    """What is asked for: before or after an offset (None: the newest)."""

    conversation: str
    before: bool
    offset: int | None
    limit: int
    max_bytes: int


class Pages:
    """An async context manager. Who asks for a page while it is being read shares the next read of it, not that one:
    whoever asks sees what was committed by then, their own writes by any process among it.

    Permission is the caller's matter. Every method raises what the log's does, and Overloaded. What is returned is
    shared: it must not be changed.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._asking: Gather[_Page, LogPage] = Gather(self._read, batch=1, limit=WAITING, at_once=AT_ONCE, shared=True)

    async def __aenter__(self) -> Self:
        await self._asking.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._asking.__aexit__(kind, error, traceback)

    async def before(self, conversation: str, offset: int | None, limit: int, *, max_bytes: int) -> LogPage:
        """See `Log.messages_before`."""
        return await self._asking.ask(_Page(conversation, True, offset, limit, max_bytes))

    async def after(self, conversation: str, offset: int, limit: int, *, max_bytes: int) -> LogPage:
        """See `Log.messages_after`."""
        return await self._asking.ask(_Page(conversation, False, offset, limit, max_bytes))

    async def _read(self, pages: Sequence[_Page]) -> list[LogPage]:
        return [await self._read_one(page) for page in pages]

    async def _read_one(self, page: _Page) -> LogPage:
        if page.before:
            return await self._log.messages_before(page.conversation, page.offset, page.limit, max_bytes=page.max_bytes)
        return await self._log.messages_after(page.conversation, page.offset or 0, page.limit, max_bytes=page.max_bytes)
