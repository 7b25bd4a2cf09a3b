"""What changed since a client was here last, for all its conversations in one call."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

import msgspec

from chat.usecases.failures import told
from chat.usecases.unread import Unreads
from chat.vocabulary import render
from chat.vocabulary.cursor import decode_sync_cursor, encode_sync_cursor
from chat.vocabulary.shapes import Conversation
from chat.vocabulary.syncing import Sync, SyncedConversation, SyncResult
from storage import model
from storage.store import Store

MAX_ENTRIES: Final = 100
"""A conversation that missed more is not replayed in the reply: its pages are read by REST."""

MAX_CONVERSATION_BYTES: Final = 16 * 1024
MAX_REPLY_BYTES: Final = 56 * 1024
_REMOVED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class _News:
    """What the client has, by conversation, and where something private to the user changed. `fresh`: has nothing."""

    cursors: Mapping[str, int]
    changed: Set[str]
    fresh: bool

    def has(self, record: model.Conversation) -> bool:
        cursor = self.cursors.get(record.id)
        return self.fresh or cursor is None or cursor < record.head.offset or record.id in self.changed


class Syncing:
    def __init__(self, store: Store, unreads: Unreads) -> None:
        self._store = store
        self._unreads = unreads

    async def sync(self, user: str, request: Sync) -> SyncResult:
        """One page of changes, newest activity first, at most 64 KiB.

        All pages tell the revision of the first: it was read before anything else.
        """
        place, first = None, None
        if isinstance(request.before, str):
            activity_at, conversation, first = decode_sync_cursor(request.before)
            place = (activity_at, conversation)
        known = request.epoch == self._store.epoch
        cursors = request.cursors if known else {}
        since = request.revision if known else 0
        with told():
            revision, members = await self._changes(user, since)
            rows = await self._store.inbox.list(user, limit=request.limit + 1, before=place)
            removed = [] if first is not None or not since else [one.conversation for one in members if not one.live]
            news = _News(cursors, {one.conversation for one in members}, fresh=since == 0)
            synced, seen = await self._page(rows[: request.limit], news, size=len(removed) * _REMOVED_BYTES)
        if first is not None:
            revision = first
        following = None
        if seen < len(rows):
            last = rows[seen - 1][1]
            following = encode_sync_cursor(last.activity_at, last.id, revision)
        return SyncResult(
            epoch=self._store.epoch, revision=revision, conversations=synced, removed=removed, next=following
        )

    async def _changes(self, user: str, since: int) -> tuple[int, list[model.Member]]:
        """The present revision, and every row of the user that changed after `since`."""
        members: list[model.Member] = []
        while True:
            changes = await self._store.inbox.changes(user, since)
            members += changes.members
            if changes.complete or changes.revision <= since:
                return changes.revision, members
            since = changes.revision

    async def _page(
        self,
        rows: list[tuple[model.Member, model.Conversation]],
        news: "_News",
        *,
        size: int,
    ) -> tuple[list[SyncedConversation], int]:
        """What of these rows is news, and how many rows fitted (at least one). `size`: bytes that are taken already."""
        peers = {peer for member, record in rows for peer in record.peers or () if peer != member.user}
        users = await self._store.users.get_many(peers) if peers else {}
        mentions = await self._unreads.mentions_of([(member, record) for member, record in rows if news.has(record)])
        synced: list[SyncedConversation] = []
        for index, (member, record) in enumerate(rows):
            if not news.has(record):
                continue
            view = render.conversation(record, member, users, mentions.get(record.id, 0))
            one = await self._one(view, record, news.cursors.get(record.id))
            size += len(msgspec.json.encode(one))
            if size > MAX_REPLY_BYTES and index:
                return synced, index
            synced.append(one)
        return synced, len(rows)

    async def _one(self, view: Conversation, record: model.Conversation, cursor: int | None) -> SyncedConversation:
        if cursor is None:
            return SyncedConversation(conversation=view, complete=False)
        if cursor >= record.head.offset:
            return SyncedConversation(conversation=view, complete=True)
        if record.head.offset - cursor > MAX_ENTRIES:
            return SyncedConversation(conversation=view, complete=False)
        missed = await self._store.log.range(
            record.id, cursor, record.head.offset, limit=MAX_ENTRIES, max_bytes=MAX_CONVERSATION_BYTES
        )
        if not missed.complete:
            return SyncedConversation(conversation=view, complete=False)
        entries = [msgspec.Raw(render.encode(render.event(entry))) for entry in missed.entries]
        if sum(map(len, entries)) > MAX_CONVERSATION_BYTES:
            # The log goes by characters, and gives one entry however large.
            return SyncedConversation(conversation=view, complete=False)
        return SyncedConversation(conversation=view, entries=entries, complete=True)
