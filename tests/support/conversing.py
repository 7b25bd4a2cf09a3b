"""Conversations and messages through the stores."""

from collections.abc import Iterable, Sequence

from storage.model import Appended, Conversation, ConversationKind, Role
from storage.store import Store
from support.entries import message

AT = 1_700_000_000_000


async def a_group(store: Store, users: Iterable[str] = ("ada", "bob"), *, at: int = AT) -> Conversation:
    """A group; the first user is its owner."""
    first, *others = users
    members = [(first, Role.OWNER), *((user, Role.MEMBER) for user in others)]
    created = await store.conversations.create(kind=ConversationKind.GROUP, by=first, members=members, at=at)
    return created.conversation


async def say(store: Store, conversation: str, by: str, texts: Sequence[str], *, at: int = AT) -> list[Appended]:
    """Send these messages, one after the other."""
    return [await store.appender.append(message(conversation, by=by, text=text, at=at)) for text in texts]
