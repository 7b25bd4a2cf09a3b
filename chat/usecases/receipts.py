"""Who may see how far others have read and received.

Receipts are shown in conversations of at most `limits.receipts_members`. Who does not show theirs does not see those of
others.
"""

import asyncio
from collections.abc import Sequence

from msgspec import structs

from chat.usecases.access import Access, Standing, foreign, parent_of
from chat.usecases.blocks import BlockLists
from chat.usecases.failures import Unseen, told
from chat.usecases.ports import Limits
from chat.usecases.rights import Right
from chat.vocabulary import render, shapes
from chat.vocabulary.reading import MessageSeenBy, SeenBy, SeenByPage
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage import model
from storage.model import EntryKind
from storage.store import Store


class Receipts:
    """Raises ClientError, but for `shown_live`, which raises StorageError."""

    def __init__(self, store: Store, access: Access, blocks: BlockLists, limits: Limits) -> None:
        self._store = store
        self._blocks = blocks
        self._access = access
        self._limits = limits

    async def seen_by(self, user: str, request: MessageSeenBy) -> SeenByPage:
        """Members whose positions have reached the message, its sender and who came later left out."""
        conversation = request.conversation
        await self._access.require(user, conversation, Right.READ)
        with told():
            record = await self._record(conversation)
            limit = self._limits.receipts_members
            if record.members_count > limit:
                raise ClientError(
                    codes.LIMIT_EXCEEDED,
                    f"receipts are shown in conversations of at most {limit} members",
                    "conversation",
                )
            if record.peers is not None and await self._blocks.apart(*record.peers):
                raise ClientError(codes.PERMISSION_DENIED, "one of the two blocks the other", "conversation")
            entry = await self._store.log.get(conversation, request.offset)
            if entry is None or entry.kind is not EntryKind.MESSAGE_CREATED:
                raise Unseen("there is no message at this offset", "offset")
            rows = await self._store.members.page(conversation, after=request.after, limit=request.limit + 1)
            page = rows[: request.limit]
            users = await self._store.users.get_many({user, *(row.user for row in page)})
            there = await self._still_there(conversation, page)
        if not _shows(users, user):
            raise ClientError(codes.PERMISSION_DENIED, "who does not show receipts sees none (privacy.receipts)")
        seen = [
            SeenBy(row.user, row.read.offset >= entry.offset)
            for row in page
            if row.user != entry.by
            and row.user in there
            and row.joined_offset <= entry.offset
            and max(row.read, row.delivered).offset >= entry.offset
            and _shows(users, row.user)
        ]
        return SeenByPage(seen, page[-1].user if len(rows) > request.limit else None)

    async def members(self, user: str, conversation: str, rows: Sequence[model.Member]) -> list[shapes.Member]:
        """Members as the user may see them: with positions where they are to be seen. One's own always are."""
        with told():
            record = await self._record(conversation)
            shown = record.members_count <= self._limits.receipts_members
            if shown and record.peers is not None:
                shown = not await self._blocks.apart(*record.peers)
            users = await self._store.users.get_many({user, *(row.user for row in rows)}) if shown and rows else {}
        sees = shown and _shows(users, user)
        return [
            render.member(row)
            if row.user == user or (sees and _shows(users, row.user))
            else structs.replace(render.member(row), read=None, delivered=None)
            for row in rows
        ]

    async def shown_live(self, user: str, standing: Standing) -> bool:
        """Whether the others are told at once how far the user has read. What is told goes to all who are there: only
        in a direct conversation can it be kept from one who does not show theirs, or where one has blocked the other.
        """
        peers = standing.facts.peers
        # One by one: what is asked for by many at the same time is one query.
        records = await asyncio.gather(*(self._store.users.get(one) for one in peers or (user,)))
        users = {record.id: record for record in records if record is not None}
        if not _shows(users, user):
            return False
        if peers is None:
            return True
        other = peers[1] if peers[0] == user else peers[0]
        return _shows(users, other) and not await self._blocks.apart(*peers)

    async def _still_there(self, conversation: str, rows: Sequence[model.Member]) -> set[str]:
        """Of who follows a thread, those who are members of the conversation that it belongs to."""
        users = {row.user for row in rows}
        parent = parent_of(conversation)
        return users if parent is None or not users else await self._store.members.live(parent, users)

    async def _record(self, conversation: str) -> model.Conversation:
        """The conversation, that of a thread: its row, as what is remembered of it may be some seconds old."""
        record = await self._store.conversations.get(parent_of(conversation) or conversation)
        if record is None:
            raise foreign()
        return record


def _shows(users: dict[str, model.User], user: str) -> bool:
    record = users.get(user)
    return record is None or record.privacy.receipts
