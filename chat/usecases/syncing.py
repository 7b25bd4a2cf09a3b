"""What changed since a client was here last, for all its conversations in one call."""

from collections.abc import Mapping
from typing import Final

import msgspec
from storage.store import Store

from chat.usecases.failures import told
from chat.vocabulary import render
from chat.vocabulary.cursor import decode_cursor, encode_cursor
from chat.vocabulary.requests import Sync
from chat.vocabulary.results import SyncedConversation, SyncResult
from storage import model

MAX_ENTRIES: Final = 100
"""A conversation that missed more is not replayed in the reply: its pages are read by REST."""

MAX_CONVERSATION_BYTES: Final = 16 * 1024
MAX_REPLY_BYTES: Final = 56 * 1024


class Syncing:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def sync(self, user: str, request: Sync) -> SyncResult:
        """One page of changes, newest activity first, at most 64 KiB.

        The revision to keep is that of the first page: it was read before anything else.
        """
        before = decode_cursor(request.before) if isinstance(request.before, str) else None
        known = request.epoch == self._store.epoch
        cursors = request.cursors if known else {}
        revision = request.revision if known else 0
        with told():
            changes = await self._store.inbox.changes(user, revision)
            rows = await self._store.inbox.list(user, limit=request.limit + 1, before=before)
            changed = {member.conversation for member in changes.members}
            synced, seen = await self._page(rows[: request.limit], cursors, changed, fresh=revision == 0)
        following = None
        if seen < len(rows):
            last = rows[seen - 1][1]
            following = encode_cursor(last.activity_at, last.id)
        removed = [] if before is not None else [one.conversation for one in changes.members if not one.live]
        return SyncResult(
            epoch=self._store.epoch,
            revision=changes.revision,
            conversations=synced,
            removed=removed if revision else [],
            next=following,
        )

    async def _page(
        self,
        rows: list[tuple[model.Member, model.Conversation]],
        cursors: Mapping[str, int],
        changed: set[str],
        *,
        fresh: bool,
    ) -> tuple[list[SyncedConversation], int]:
        """What of these rows is news, and how many rows fitted (at least one)."""
        peers = {peer for member, record in rows for peer in record.peers or () if peer != member.user}
        users = await self._store.users.get_many(peers) if peers else {}
        synced: list[SyncedConversation] = []
        size = 0
        for index, (member, record) in enumerate(rows):
            cursor = cursors.get(record.id)
            if not fresh and cursor is not None and cursor >= record.head.offset and record.id not in changed:
                continue
            one = await self._one(member, record, users, cursor)
            size += len(msgspec.json.encode(one))
            if size > MAX_REPLY_BYTES and index:
                return synced, index
            synced.append(one)
        return synced, len(rows)

    async def _one(
        self,
        member: model.Member,
        record: model.Conversation,
        users: Mapping[str, model.User],
        cursor: int | None,
    ) -> SyncedConversation:
        view = render.conversation(record, member, users)
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
        return SyncedConversation(conversation=view, entries=entries, complete=True)
