"""Pages of messages, for many who ask at the same time: for the same one or for others."""

from types import TracebackType
from typing import Final, Self

from pymongo import ASCENDING, DESCENDING

from storage.mongo.log import Log
from storage.mongo.page import LogPage, Wanted
from storage.mongo.together import Together

AT_ONCE: Final = 2
"""Commands at a time, so that what is asked meanwhile shares the next one: a page of eight costs half of one alone."""

TOGETHER: Final = 8
"""Pages of one command. What is slow about one of them, all of them wait for."""


class Pages:
    """An async context manager. Who asks for a page while it is being read shares the next read of it, not that one:
    whoever asks sees what was committed by then, their own writes by any process among it.

    Permission is the caller's matter. Every method raises what the log's does, and Overloaded. What is returned is
    shared: it must not be changed.
    """

    def __init__(self, log: Log) -> None:
        self._asking: Together[Wanted, LogPage] = Together(log.pages, batch=TOGETHER, at_once=AT_ONCE)

    async def __aenter__(self) -> Self:
        await self._asking.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._asking.__aexit__(kind, error, traceback)

    async def before(self, conversation: str, offset: int | None, limit: int, *, max_bytes: int) -> LogPage:
        """See `Log.messages_before`."""
        return await self._asking.ask(Wanted(conversation, DESCENDING, offset, limit, max_bytes))

    async def after(self, conversation: str, offset: int, limit: int, *, max_bytes: int) -> LogPage:
        """See `Log.messages_after`."""
        return await self._asking.ask(Wanted(conversation, ASCENDING, offset, limit, max_bytes))
