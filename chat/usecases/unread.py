"""What is unread: counted from positions and the log, so that there is nothing to drift."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from chat.usecases.access import parent_of
from chat.usecases.blocks import BlockLists
from chat.usecases.failures import told
from chat.vocabulary.reading import ReadTotals, Totals, TotalsResult
from storage import model
from storage.mongo.heads import Extent
from storage.mongo.inbox import MAX_CONVERSATIONS
from storage.store import Store

MAX_WITH_MENTIONS: Final = 1000
"""Conversations with unread messages in which the totals count mentions: 20 queries. In others none is counted."""


class Unreads:
    """`totals` raises ClientError, the others StorageError."""

    def __init__(self, store: Store, blocks: BlockLists, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._blocks = blocks
        self._clock_ms = clock_ms

    async def mentions(self, user: str, after: Mapping[str, int]) -> dict[str, int]:
        """How many messages after that offset mention the user, by conversation, without the user's own and those of
        users whom the user blocks. One query for up to 50 conversations, none for none.
        """
        if not after:
            return {}
        return await self._store.mentions.count(user, after, without=await self.unheard(user))

    async def mentions_of(self, rows: Iterable[tuple[model.Member, model.Conversation]]) -> dict[str, int]:
        """The same for conversations of one user, of which only those with something unread are looked at."""
        user, after = "", dict[str, int]()
        for member, record in rows:
            user = member.user
            read = max(member.read, record.floor)
            if record.head.n > read.n:
                after[record.id] = read.offset
        return await self.mentions(user, after)

    async def unheard(self, user: str) -> set[str]:
        """Whose mentions do not count for the user."""
        blocked = await self._blocks.of(user)
        return {user, *blocked[user]}

    async def totals(self, user: str, request: ReadTotals) -> TotalsResult:
        """Over all conversations that are not archived, from at most `MAX_CONVERSATIONS` memberships: two queries for a
        thousand of them, and one for 50 that have unread messages.
        """
        del request
        now = self._clock_ms()
        with told():
            kept = await self._kept(user)
            unread: dict[str, int] = {}
            after: dict[str, int] = {}
            for member, extent in kept:
                read = max(member.read, extent.floor)
                if extent.head.n > read.n:
                    unread[member.conversation] = extent.head.n - read.n
                    after[member.conversation] = read.offset
            mentions = await self.mentions(user, dict(islice(after.items(), MAX_WITH_MENTIONS)))
        loud, muted, threads = _Sum(), _Sum(), _Sum()
        for member, _ in kept:
            total = loud
            if parent_of(member.conversation) is not None:
                total = threads
            elif (member.preferences.muted_until or 0) > now:
                total = muted
            conversation = member.conversation
            total.add(unread.get(conversation, 0), mentions.get(conversation, 0), member.unread_from is not None)
        return TotalsResult(
            loud.unread, loud.mentions, loud.conversations, muted=muted.totals(), threads=threads.totals()
        )

    async def badge(self, user: str, conversation: str = "", n: int = 0, read: int = 0) -> int:
        """How many messages are unread that are worth a number on an icon: what is muted or a thread is not, as in
        `totals`. Two queries. The log of `conversation` is known to have `n` messages and the user to have read the
        first `read` of them, whatever is remembered of it.
        """
        return (await self.badges([(user, conversation, n, read)]))[0]

    async def badges(self, asked: Sequence[tuple[str, str, int, int]]) -> list[int]:
        """`badge` of each (user, conversation, n, read). Two queries for all."""
        now = self._clock_ms()
        members = await self._store.members.of_users({user for user, *_ in asked}, MAX_CONVERSATIONS)
        conversations = {member.conversation for some in members.values() for member in some}
        extents = await self._store.conversations.extents(conversations)
        return [
            sum(
                _unread(member, extent, *((n, read) if member.conversation == conversation else (0, 0)))
                for member, extent in _not_archived(members[user], extents)
                if parent_of(member.conversation) is None and (member.preferences.muted_until or 0) <= now
            )
            for user, conversation, n, read in asked
        ]

    async def _kept(self, user: str) -> list[tuple[model.Member, Extent]]:
        """The user's conversations that are not archived, and how far they go."""
        members = await self._store.members.of_user(user, MAX_CONVERSATIONS)
        extents = await self._store.conversations.extents([member.conversation for member in members])
        return _not_archived(members, extents)


def _unread(member: model.Member, extent: Extent, n: int, read: int) -> int:
    return max(0, max(extent.head.n, n) - max(max(member.read, extent.floor).n, read))


def _not_archived(members: Sequence[model.Member], extents: Mapping[str, Extent]) -> list[tuple[model.Member, Extent]]:
    live = {member.conversation for member in members}
    return [
        (member, extents[member.conversation])
        for member in members
        if member.preferences.archived_at is None
        and member.conversation in extents
        and (parent_of(member.conversation) or member.conversation) in live
    ]


class _Sum:
    def __init__(self) -> None:
        self.unread = 0
        self.mentions = 0
        self.conversations = 0

    def add(self, unread: int, mentions: int, marked: bool) -> None:
        self.unread += unread
        self.mentions += mentions
        self.conversations += bool(unread or marked)

    def totals(self) -> Totals:
        return Totals(self.unread, self.mentions, self.conversations)
