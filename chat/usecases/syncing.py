"""What changed since a client was here last, for all its conversations in one call."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import structs

from chat.usecases.failures import told
from chat.usecases.private import Private, changed_rows, private_since, unreadable
from chat.usecases.unread import Unreads
from chat.vocabulary import render
from chat.vocabulary.cursor import decode_sync_cursor, encode_sync_cursor
from chat.vocabulary.shapes import Conversation
from chat.vocabulary.syncing import HiddenMessages, Missed, Sync, SyncedConversation, SyncResult
from storage import model
from storage.store import Store

MAX_ENTRIES: Final = 100
"""A conversation that missed more is not replayed in the reply: its pages are read by REST."""

MAX_CONVERSATION_BYTES: Final = 16 * 1024
MAX_REPLY_BYTES: Final = 56 * 1024
_MISSED_BYTES: Final = 100
_START: Final = (10**15 - 1, "a" * 26)
"""Before everything, for a reply that had no room for a conversation."""

_Rows = list[tuple[model.Member, model.Conversation]]


@dataclass(frozen=True, slots=True)
class _News:
    """What the client has, by conversation, and where something private to the user changed. `fresh`: has nothing."""

    cursors: Mapping[str, int]
    changed: Set[str]
    fresh: bool

    def has(self, record: model.Conversation) -> bool:
        cursor = self.cursors.get(record.id)
        return self.fresh or cursor is None or cursor < record.head.offset or record.id in self.changed


@dataclass(slots=True)
class _Page:
    """Conversations that fitted, what is missing in them, and how many rows that were."""

    synced: list[SyncedConversation]
    truncated: list[Missed]
    seen: int


class Syncing:
    def __init__(self, store: Store, unreads: Unreads) -> None:
        self._store = store
        self._unreads = unreads

    async def sync(self, user: str, request: Sync) -> SyncResult:
        """One page of changes, newest activity first, at most 64 KiB.

        All pages tell the revision of the first: it was read before anything else. What is private to the user is on
        the first one.
        """
        known = request.epoch == self._store.epoch
        cursors = request.cursors if known else {}
        since = request.revision if known else 0
        with told():
            if isinstance(request.before, str):
                activity_at, conversation, revision = decode_sync_cursor(request.before)
                _, members = await changed_rows(self._store, user, since)
                news = _News(cursors, {one.conversation for one in members}, fresh=since == 0)
                begun = SyncResult(epoch=self._store.epoch, revision=revision, conversations=[], removed=[])
                return await self._filled(user, begun, news, request.limit, before=(activity_at, conversation))
            private = await private_since(self._store, user, since)
            begun = await self._begun(user, private, request.cursors)
            news = _News(cursors, private.changed, fresh=since == 0)
            return await self._filled(user, begun, news, request.limit, before=None)

    async def _begun(self, user: str, private: Private, cursors: Mapping[str, int]) -> SyncResult:
        """The first reply without conversations. Cursors of any database count: what is not there is not readable."""
        lost = await unreadable(self._store, user, [one for one in cursors if one not in private.removed])
        record = await self._store.users.get(user)
        return SyncResult(
            epoch=self._store.epoch,
            revision=private.revision,
            conversations=[],
            removed=[*private.removed, *lost],
            hidden=[HiddenMessages(conversation, offsets) for conversation, offsets in private.hidden.items()],
            blocked=[other for other, now in private.blocked.items() if now],
            unblocked=[other for other, now in private.blocked.items() if not now],
            user=None if record is None else render.user(record, own=True),
            more=not private.complete,
        )

    async def _filled(
        self, user: str, begun: SyncResult, news: _News, limit: int, *, before: tuple[int, str] | None
    ) -> SyncResult:
        """The reply with as many conversations as fit it."""
        rows = await self._rows(user, limit + 1, before)
        taken = len(msgspec.json.encode(begun))
        page = await self._page(rows[:limit], news, size=taken, some=before is not None)
        following = None
        if page.seen < len(rows):
            at, conversation = _place(rows[page.seen - 1][1]) if page.seen else _START
            following = encode_sync_cursor(at, conversation, begun.revision)
        return structs.replace(begun, conversations=page.synced, truncated=page.truncated, next=following)

    async def _rows(self, user: str, limit: int, before: tuple[int, str] | None) -> _Rows:
        """Conversations and followed threads, newest activity first."""
        rows = await self._store.inbox.list(user, limit=limit, before=before)
        rows += await self._store.threads.list(user, limit=limit, before=before)
        return sorted(rows, key=lambda row: _place(row[1]), reverse=True)[:limit]

    async def _page(self, rows: _Rows, news: _News, *, size: int, some: bool) -> _Page:
        """What of these rows is news. `size`: bytes that are taken already; `some`: one at least, however large."""
        peers = {peer for member, record in rows for peer in record.peers or () if peer != member.user}
        users = await self._store.users.get_many(peers) if peers else {}
        mentions = await self._unreads.mentions_of([(member, record) for member, record in rows if news.has(record)])
        page = _Page([], [], len(rows))
        for index, (member, record) in enumerate(rows):
            if not news.has(record):
                continue
            view = render.conversation(record, member, users, mentions.get(record.id, 0))
            one, missed = await self._one(view, record, news.cursors.get(record.id))
            size += len(msgspec.json.encode(one)) + (_MISSED_BYTES if missed is not None else 0)
            if size > MAX_REPLY_BYTES and (index or not some):
                page.seen = index
                return page
            page.synced.append(one)
            if missed is not None:
                page.truncated.append(missed)
        return page

    async def _one(
        self, view: Conversation, record: model.Conversation, cursor: int | None
    ) -> tuple[SyncedConversation, Missed | None]:
        """With what is missing of it after the client's cursor; who has no cursor begins where they like."""
        head = record.head.offset
        if cursor is None:
            return SyncedConversation(conversation=view, complete=False), None
        if cursor >= head:
            return SyncedConversation(conversation=view, complete=True), None
        entries = await self._entries(record, cursor)
        if entries is None:
            missed = Missed(record.id, max(cursor, record.floor.offset), head)
            return SyncedConversation(conversation=view, complete=False), missed
        return SyncedConversation(conversation=view, entries=entries, complete=True), None

    async def _entries(self, record: model.Conversation, cursor: int) -> list[msgspec.Raw] | None:
        """All events after the cursor; None: too many for a reply, or not all are retained."""
        head = record.head.offset
        if head - cursor > MAX_ENTRIES:
            return None
        missed = await self._store.log.range(
            record.id, cursor, head, limit=MAX_ENTRIES, max_bytes=MAX_CONVERSATION_BYTES
        )
        if not missed.complete or not missed.entries or missed.entries[0].offset != cursor + 1:
            return None
        entries = [msgspec.Raw(render.encode(render.event(entry))) for entry in missed.entries]
        # The log goes by characters, and gives one entry however large.
        return entries if sum(map(len, entries)) <= MAX_CONVERSATION_BYTES else None


def _place(record: model.Conversation) -> tuple[int, str]:
    return record.activity_at, record.id
