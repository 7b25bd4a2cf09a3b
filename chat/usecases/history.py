"""Paging through a conversation's messages."""

from typing import Final

from msgspec import UNSET
from storage.store import Store

from chat.usecases.access import Access
from chat.usecases.failures import told
from chat.usecases.rights import Right
from chat.vocabulary import render
from chat.vocabulary.requests import HistoryPage
from chat.vocabulary.results import MessagePage, PageInfo
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import ORIGIN
from storage.mongo.log import LogPage

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
            return await log.messages_after(conversation, request.after, limit)
        if isinstance(request.around, int):
            return await self._around(conversation, request.around, limit)
        if request.from_ is not UNSET:
            member = await self._store.members.get(conversation, user)
            read = ORIGIN if member is None else member.read
            return await log.messages_after(conversation, read.offset, limit)
        before = request.before if isinstance(request.before, int) else None
        return await log.messages_before(conversation, before, limit)

    async def _around(self, conversation: str, offset: int, limit: int) -> LogPage:
        """Two ranges that meet at the offset, as one page."""
        older = await self._store.log.messages_before(conversation, offset, limit // 2)
        newer = await self._store.log.messages_after(conversation, max(0, offset - 1), limit - len(older.entries))
        return LogPage(
            entries=[*older.entries, *newer.entries],
            oldest=older.oldest,
            newest=newer.newest,
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
