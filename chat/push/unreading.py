"""What is unread, from the stores: the log itself, so a message that was edited or deleted reads as it is now."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from chat.push.ports import Group, Message, Unread
from chat.push.words import Attached, attached
from chat.usecases.access import parent_of
from storage.model import ORIGIN, Conversation, Entry, Member
from storage.mongo.mentions import everyone
from storage.mongo.page import LogPage
from storage.mongo.together import Together
from storage.store import Store

WINDOW: Final = 50
"""Messages that are looked at. Where more are unread, so many are said to be."""


class Badge(Protocol):
    """How much is unread for a user, anywhere. See `chat.usecases.unread.Unreads.badge`."""

    async def __call__(self, user: str, conversation: str = "", n: int = 0, read: int = 0) -> int:
        """The log of `conversation` is known to have `n` messages, and the user to have read the first `read` of them.
        May raise StorageError.
        """


Badges = Callable[[Sequence[tuple[str, str, int, int]]], Awaitable[list[int]]]
"""The same of several at once: of each user, conversation, `n` and `read`."""


class BadgesTogether:
    """Implements `Badge`. An async context manager: who asks while it is entered asks together with others."""

    def __init__(self, badges: Badges) -> None:
        # Of each, all the user's conversations are read: not too many at once.
        self._together: Together[tuple[str, str, int, int], int] = Together(badges, batch=16, at_once=4)

    async def __aenter__(self) -> Self:
        await self._together.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._together.__aexit__(kind, error, traceback)

    async def __call__(self, user: str, conversation: str = "", n: int = 0, read: int = 0) -> int:
        """See `Badge`."""
        return await self._together.ask((user, conversation, n, read))


class StoredUnreads:
    """Implements `Unreads` of ports.py. Every method may raise StorageError.

    An async context manager: who asks while it is entered asks together with others.
    """

    def __init__(self, store: Store, badge: Badge) -> None:
        self._store = store
        self._badge = badge
        self._together: Together[tuple[str, str], Unread | None] = Together(self._of, batch=50)

    async def __aenter__(self) -> Self:
        await self._together.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._together.__aexit__(kind, error, traceback)

    async def of(self, user: str, conversation: str) -> Unread | None:
        """As it is now; None: there is no such conversation, or the user never was in it."""
        return await self._together.ask((user, conversation))

    async def badge(self, user: str) -> int:
        """How much is unread anywhere."""
        return await self._badge(user)

    async def _of(self, asked: Sequence[tuple[str, str]]) -> list[Unread | None]:
        store = self._store
        records, blocked, members = await asyncio.gather(
            store.conversations.get_many({conversation for _, conversation in asked}),
            store.blocks.of_users({user for user, _ in asked}),
            asyncio.gather(*(store.members.get(conversation, user) for user, conversation in asked)),
        )
        after: dict[str, int] = {}
        for member in members:
            if member is not None and (record := records.get(member.conversation)) is not None:
                seen = _seen(member, record)
                after[record.id] = min(seen, after.get(record.id, seen))
        pages = await store.log.newest(after, WINDOW)
        return await asyncio.gather(
            *(
                self._one(member, records[member.conversation], pages[member.conversation], blocked[member.user])
                if member is not None and member.conversation in records
                else _none()
                for member in members
            )
        )

    async def _one(self, member: Member, record: Conversation, page: LogPage, blocked: frozenset[str]) -> Unread | None:
        user, conversation = member.user, record.id
        # Whoever has sent something has read what was before: it is written a second later.
        own = next((entry.position for entry in reversed(page.entries) if entry.by == user), ORIGIN)
        read = max(member.read, record.floor, own)
        entries = [entry for entry in page.entries if entry.offset > max(_seen(member, record), own.offset)]
        live, messages, badge = await asyncio.gather(
            self._is_member(member),
            self._messages(member, entries),
            self._badge(user, conversation, page.entries[-1].n if page.entries else 0, read.n),
        )
        return Unread(
            user=user,
            conversation=conversation,
            kind=record.kind,
            title=record.title,
            members_count=record.members_count,
            member=live,
            read=read.offset,
            messages=messages,
            more=page.has_before and len(entries) == len(page.entries) > 0,
            badge=badge,
            muted_until=member.preferences.muted_until,
            notify=member.preferences.notify,
            blocked=blocked,
        )

    async def _is_member(self, member: Member) -> bool:
        """In a thread only as long as in the conversation that it belongs to."""
        parent = parent_of(member.conversation)
        if parent is None or not member.live:
            return member.live
        above = await self._store.members.get(parent, member.user)
        return above is not None and above.live

    async def _messages(self, member: Member, entries: list[Entry]) -> tuple[Message, ...]:
        if not entries:
            return ()
        hidden: set[tuple[str, int]] = set()
        if member.hides:
            hidden = set(
                await self._store.hidden.among(member.user, [(one.conversation, one.offset) for one in entries])
            )
        names = {entry.by for entry in entries}
        known = await asyncio.gather(*(self._store.users.get(user) for user in names))
        users = {user.id: user for user in known if user is not None}
        return tuple(
            Message(
                entry.offset,
                entry.at,
                entry.by,
                name=users[entry.by].name if entry.by in users else "",
                text=entry.body.get("text", ""),
                mentions=mentions(entry, member.user),
                deleted="deleted_at" in entry.body or (entry.conversation, entry.offset) in hidden,
                attached=_attached(entry),
            )
            for entry in entries
        )


def _attached(entry: Entry) -> Attached:
    """By the first of its attachments; what is no upload is of any shape."""
    first = next(iter(entry.body.get("attachments", ())), None)
    kind = first.get("content_type") if isinstance(first, Mapping) else None
    return attached(kind) if isinstance(kind, str) else "file"


async def _none() -> None:
    return None


def _seen(member: Member, record: Conversation) -> int:
    """Up to there nothing is unread."""
    return max(max(member.read, record.floor).offset, member.joined_offset)


class StoredGroups:
    """Implements `Groups` of ports.py."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, conversation: str) -> Group | None:
        record = await self._store.conversations.get(conversation)
        return None if record is None else Group(record.kind, record.members_count, record.peers)


def mentions(entry: Entry, user: str) -> bool:
    """Whether a message mentions the user, or everyone."""
    meant = entry.body.get("meant", ())
    return user in meant or everyone(entry.conversation) in meant
