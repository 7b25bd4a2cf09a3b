"""Who may see how far others have read and received.

Receipts are shown in conversations of at most `limits.receipts_members`. Who does not show theirs does not see those of
others.
"""

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
        await self._require_small(conversation)
        with told():
            entry = await self._store.log.get(conversation, request.offset)
            if entry is None or entry.kind is not EntryKind.MESSAGE_CREATED:
                raise Unseen("there is no message at this offset", "offset")
            rows = await self._store.members.page(conversation, after=request.after, limit=request.limit + 1)
            page = rows[: request.limit]
            users = await self._store.users.get_many({user, *(row.user for row in page)})
        if not _shows(users, user):
            raise ClientError(codes.PERMISSION_DENIED, "who does not show receipts sees none (privacy.receipts)")
        seen = [
            SeenBy(row.user, row.read.offset >= entry.offset)
            for row in page
            if row.user != entry.by
            and row.joined_offset <= entry.offset
            and max(row.read, row.delivered).offset >= entry.offset
            and _shows(users, row.user)
        ]
        return SeenByPage(seen, page[-1].user if len(rows) > request.limit else None)

    async def members(self, user: str, conversation: str, rows: Sequence[model.Member]) -> list[shapes.Member]:
        """Members as the user may see them: with positions where they are to be seen. One's own always are."""
        with told():
            small = await self._small(conversation)
            users = await self._store.users.get_many({user, *(row.user for row in rows)}) if small and rows else {}
        sees = small and _shows(users, user)
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
        users = await self._store.users.get_many([user] if peers is None else peers)
        if not _shows(users, user):
            return False
        if peers is None:
            return True
        other = peers[1] if peers[0] == user else peers[0]
        return _shows(users, other) and not await self._blocks.apart(*peers)

    async def _require_small(self, conversation: str) -> None:
        with told():
            small = await self._small(conversation)
        if not small:
            limit = self._limits.receipts_members
            raise ClientError(
                codes.LIMIT_EXCEEDED, f"receipts are shown in conversations of at most {limit} members", "conversation"
            )

    async def _small(self, conversation: str) -> bool:
        """By the conversation's row, not by what is remembered of it: that may be some seconds old."""
        record = await self._store.conversations.get(parent_of(conversation) or conversation)
        if record is None:
            raise foreign()
        return record.members_count <= self._limits.receipts_members


def _shows(users: dict[str, model.User], user: str) -> bool:
    record = users.get(user)
    return record is None or record.privacy.receipts
