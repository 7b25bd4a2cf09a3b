"""Paging through a conversation's messages."""

from typing import Final

from msgspec import UNSET

from chat.usecases.access import Access
from chat.usecases.failures import told
from chat.usecases.rights import Right
from chat.vocabulary import render
from chat.vocabulary.history import HistoryPage, MessagePage, PageInfo
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import ORIGIN
from storage.mongo.log import LogPage
from storage.store import Store

MAX_PAGE_BYTES: Final = 48 * 1024
"""About as much as a page may take: a larger reply would hold up pings and, on a slow socket, end the connection."""

_ANCHORS: Final = ("before", "after", "around", "from")


class History:
    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    async def page(self, user: str, request: HistoryPage) -> MessagePage:
        """One page, ascending. `around` gives the message at that offset about in the middle."""
        given = [request.before, request.after, request.around, request.from_]
        if sum(value is not UNSET for value in given) > 1:
            raise ClientError(codes.BAD_REQUEST, f"give at most one of {', '.join(_ANCHORS)}", "before")
        await self._access.require(user, request.conversation, Right.READ)
        with told():
            return _rendered(await self._read(user, request))

    async def _read(self, user: str, request: HistoryPage) -> LogPage:
        log, conversation, limit = self._store.log, request.conversation, request.limit
        if isinstance(request.after, int):
            return await log.messages_after(conversation, request.after, limit, max_bytes=MAX_PAGE_BYTES)
        if isinstance(request.around, int):
            return await self._around(conversation, request.around, limit)
        if request.from_ is not UNSET:
            member = await self._store.members.get(conversation, user)
            read = ORIGIN if member is None else member.read
            return await log.messages_after(conversation, read.offset, limit, max_bytes=MAX_PAGE_BYTES)
        before = request.before if isinstance(request.before, int) else None
        return await log.messages_before(conversation, before, limit, max_bytes=MAX_PAGE_BYTES)

    async def _around(self, conversation: str, offset: int, limit: int) -> LogPage:
        """Two ranges that meet at the offset, as one page."""
        log, after, half = self._store.log, max(0, offset - 1), limit // 2
        if not half:
            return await log.messages_after(conversation, after, limit, max_bytes=MAX_PAGE_BYTES)
        older = await log.messages_before(conversation, offset, half, max_bytes=MAX_PAGE_BYTES // 2)
        left = limit - len(older.entries)
        newer = await log.messages_after(conversation, after, left, max_bytes=MAX_PAGE_BYTES // 2)
        return LogPage(
            entries=[*older.entries, *newer.entries],
            oldest=newer.oldest if older.oldest is None else older.oldest,
            newest=older.newest if newer.newest is None else newer.newest,
            has_before=older.has_before,
            has_after=newer.has_after,
            truncated_by=older.truncated_by or newer.truncated_by,
        )


def _rendered(page: LogPage) -> MessagePage:
    return MessagePage(
        items=[render.message(entry) for entry in page.entries],
        page=PageInfo(
            has_before=page.has_before,
            has_after=page.has_after,
            oldest=page.oldest,
            newest=page.newest,
            truncated_by=page.truncated_by,
        ),
    )
