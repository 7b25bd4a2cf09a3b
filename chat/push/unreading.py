"""What is unread, from the stores: the log itself, so a message that was edited or deleted reads as it is now."""

from typing import Final, Protocol

from chat.push.ports import Group, Message, Unread
from chat.usecases.access import parent_of
from storage.model import Entry, Member
from storage.mongo.mentions import everyone
from storage.store import Store

WINDOW: Final = 50
"""Messages that are looked at. Where more are unread, so many are said to be."""


class Badge(Protocol):
    """How much is unread for a user, anywhere. See `chat.usecases.unread.Unreads.badge`."""

    async def __call__(self, user: str, conversation: str = "", n: int = 0) -> int:
        """The log of `conversation` is known to have `n` messages. May raise StorageError."""


class StoredUnreads:
    """Implements `Unreads` of ports.py. Every method may raise StorageError."""

    def __init__(self, store: Store, badge: Badge) -> None:
        self._store = store
        self._badge = badge

    async def of(self, user: str, conversation: str) -> Unread | None:
        """As it is now; None: there is no such conversation, or the user never was in it."""
        record = await self._store.conversations.get(conversation)
        member = await self._store.members.get(conversation, user)
        if record is None or member is None:
            return None
        read = max(member.read, record.floor)
        page = await self._store.log.messages_before(conversation, None, WINDOW)
        entries = [entry for entry in page.entries if entry.offset > max(read.offset, member.joined_offset)]
        blocked = await self._store.blocks.of_users([user])
        return Unread(
            user=user,
            conversation=conversation,
            kind=record.kind,
            title=record.title,
            members_count=record.members_count,
            member=await self._is_member(member),
            read=read.offset,
            messages=await self._messages(member, entries),
            more=page.has_before and len(entries) == len(page.entries) > 0,
            badge=await self._badge(user, conversation, page.entries[-1].n if page.entries else 0),
            muted_until=member.preferences.muted_until,
            notify=member.preferences.notify,
            blocked=frozenset(blocked.get(user, ())),
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
        users = await self._store.users.get_many({entry.by for entry in entries})
        return tuple(
            Message(
                entry.offset,
                entry.at,
                entry.by,
                name=users[entry.by].name if entry.by in users else "",
                text=entry.body.get("text", ""),
                mentions=mentions(entry, member.user),
                deleted="deleted_at" in entry.body or (entry.conversation, entry.offset) in hidden,
            )
            for entry in entries
        )


class StoredGroups:
    """Implements `Groups` of ports.py."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, conversation: str) -> Group | None:
        record = await self._store.conversations.get(conversation)
        return None if record is None else Group(record.kind, record.members_count)


def mentions(entry: Entry, user: str) -> bool:
    """Whether a message mentions the user, or everyone."""
    meant = entry.body.get("meant", ())
    return user in meant or everyone(entry.conversation) in meant
