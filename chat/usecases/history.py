"""Paging through a conversation's messages."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from chat.lately import Lately
from chat.usecases.access import Access, foreign
from chat.usecases.failures import told
from chat.usecases.hiding import Hiding
from chat.usecases.rights import Right
from chat.vocabulary import render
from chat.vocabulary.cursor import decode_pins_cursor, encode_pins_cursor
from chat.vocabulary.history import HistoryPage, HistoryPins, MessagePage, PageInfo, PinsPage
from chat.vocabulary.shapes import Message
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import Entry, EntryKind, ids
from storage.mongo.page import LogPage
from storage.store import Store

MAX_PAGE_BYTES: Final = 48 * 1024
"""About as much as a page may take: a larger reply would hold up pings and, on a slow socket, end the connection."""

_PINS_AT_ONCE: Final = 10
"""Pinned messages that are read at the same time: each may be large."""

_ANCHORS: Final = ("before", "after", "around", "from")


class History:
    def __init__(self, store: Store, access: Access, hiding: Hiding) -> None:
        self._store = store
        self._access = access
        self._hiding = hiding
        self._whole = Lately(_whole)

    async def page(self, user: str, request: HistoryPage) -> MessagePage:
        """One page, ascending. `around` gives the message at that offset about in the middle."""
        given = [request.before, request.after, request.around, request.from_]
        if sum(value is not UNSET for value in given) > 1:
            raise ClientError(codes.BAD_REQUEST, f"give at most one of {', '.join(_ANCHORS)}", "before")
        standing = await self._access.require(user, request.conversation, Right.READ)
        with told():
            page = await self._read(user, request)
        if page.oldest is None:
            await require_root(self._store, request.conversation)
        visible = await self._hiding.visible(user, standing, request.conversation, page.entries)
        # What is shared is looked at by many at the same time; what somebody has hidden is theirs alone.
        return self._whole(page) if len(visible) == len(page.entries) else _rendered(page, visible)

    async def pins(self, user: str, request: HistoryPins) -> PinsPage:
        """Pinned messages, last pinned first."""
        conversation = request.conversation
        standing = await self._access.require(user, conversation, Right.READ)
        with told():
            record = await self._store.conversations.get(conversation)
        pins = () if record is None else record.pins
        left = [*enumerate(pins)][: _pins_before(pins, request.before)]
        items: list[Message] = []
        size = 0
        while left and len(items) < request.limit and size < MAX_PAGE_BYTES:
            split = max(0, len(left) - min(_PINS_AT_ONCE, request.limit - len(items)))
            left, chosen = left[:split], left[split:]
            with told():
                found = await asyncio.gather(*(self._store.log.get(conversation, offset) for _, offset in chosen))
            there = [entry for entry in found if entry is not None and "pinned_at" in entry.body]
            for entry in reversed(await self._hiding.visible(user, standing, conversation, there)):
                items.append(render.message(entry))
                size += len(msgspec.json.encode(items[-1]))
        return PinsPage(items, next=encode_pins_cursor(len(left), pins[len(left)]) if left else None)

    async def _read(self, user: str, request: HistoryPage) -> LogPage:
        pages, conversation, limit = self._store.pages, request.conversation, request.limit
        if isinstance(request.after, int):
            return await pages.after(conversation, request.after, limit, max_bytes=MAX_PAGE_BYTES)
        if isinstance(request.around, int):
            return await self._around(conversation, request.around, limit)
        if request.from_ is not UNSET:
            member = await self._store.members.get(conversation, user)
            after = 0 if member is None else member.read.offset
            if member is not None and member.unread_from is not None:
                after = min(after, member.unread_from - 1)
            return await pages.after(conversation, after, limit, max_bytes=MAX_PAGE_BYTES)
        before = request.before if isinstance(request.before, int) else None
        return await pages.before(conversation, before, limit, max_bytes=MAX_PAGE_BYTES)

    async def _around(self, conversation: str, offset: int, limit: int) -> LogPage:
        """Two ranges that meet at the offset, as one page."""
        pages, after, half = self._store.pages, max(0, offset - 1), limit // 2
        if not half:
            return await pages.after(conversation, after, limit, max_bytes=MAX_PAGE_BYTES)
        older = await pages.before(conversation, offset, half, max_bytes=MAX_PAGE_BYTES // 2)
        left = limit - len(older.entries)
        newer = await pages.after(conversation, after, left, max_bytes=MAX_PAGE_BYTES // 2)
        return LogPage(
            entries=[*older.entries, *newer.entries],
            oldest=newer.oldest if older.oldest is None else older.oldest,
            newest=older.newest if newer.newest is None else newer.newest,
            has_before=older.has_before,
            has_after=newer.has_after,
            truncated_by=older.truncated_by or newer.truncated_by,
        )


async def require_root(store: Store, conversation: str) -> None:
    """Of a thread in which nothing is: that there is the message below which it would be. Raises ClientError."""
    place = ids.thread_root(conversation)
    if place is not None:
        with told():
            root = await store.log.get(*place)
        if root is None or root.kind is not EntryKind.MESSAGE_CREATED:
            raise foreign()


def _pins_before(pins: Sequence[int], before: str | UnsetType) -> int:
    """How many of the pins a page goes on with. Those that were taken off meanwhile only move it."""
    if before is UNSET:
        return len(pins)
    index, offset = decode_pins_cursor(before)
    return pins.index(offset) if offset in pins else min(index, len(pins))


def _whole(page: LogPage) -> MessagePage:
    return _rendered(page, page.entries)


def _rendered(page: LogPage, visible: Iterable[Entry]) -> MessagePage:
    return MessagePage(
        items=[render.message(entry) for entry in visible],
        page=PageInfo(
            has_before=page.has_before,
            has_after=page.has_after,
            oldest=page.oldest,
            newest=page.newest,
            truncated_by=page.truncated_by,
        ),
    )
