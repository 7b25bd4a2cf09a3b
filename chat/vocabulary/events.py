"""What happens, as clients hear it: the data of publications. `offset` is the entry's own, absent where it is
ephemeral.
"""

from typing import Any

from msgspec import Struct

from chat.vocabulary.shapes import Message, Position


class _Event(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """`by` did it, `at` (ms UTC)."""

    conversation: str
    offset: int
    at: int
    by: str


class MessageCreated(_Event, frozen=True, tag="message.created"):
    message: Message


class JoinedMember(Struct, frozen=True):
    user: str
    role: str


class MemberJoined(_Event, frozen=True, tag="member.joined"):
    members: list[JoinedMember]


class MemberLeft(_Event, frozen=True, tag="member.left"):
    """By themselves (`by` is the user) or removed."""

    user: str


class MemberChanged(_Event, frozen=True, tag="member.changed"):
    user: str
    role: str


class ConversationUpdated(_Event, frozen=True, tag="conversation.updated"):
    """Only what changed."""

    title: str | None = None
    custom: dict[str, Any] | None = None


class Unknown(_Event, frozen=True, tag="unknown"):
    """An entry of a kind that this version does not know; it keeps the offsets without a hole."""

    kind: str


class _Ephemeral(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """May be lost, moves no position."""

    conversation: str
    by: str
    at: int


class Typing(_Ephemeral, frozen=True, tag="typing"):
    """Ends by itself after `expires_in_ms` unless repeated."""

    active: bool
    expires_in_ms: int


class Read(_Ephemeral, frozen=True, tag="read"):
    read: Position


class ConversationJoined(Struct, frozen=True, tag_field="type", tag="conversation.joined"):
    """On `user:`: the user is a member from now on. A `subscribe` push for it follows or came before."""

    conversation: str
    at: int
    by: str


class ConversationRemoved(Struct, frozen=True, tag_field="type", tag="conversation.removed"):
    """On `user:`: the user is no longer a member."""

    conversation: str
    at: int
    by: str


class Unread(Struct, frozen=True, tag_field="type", tag="unread"):
    """On `user:`: the read position was moved, on another device perhaps."""

    conversation: str
    read: Position
    unread: int


class UserChanged(Struct, frozen=True, tag_field="type", tag="user.changed"):
    """On `user:`: the user's own profile changed."""

    user: str
    at: int


DURABLE = (MessageCreated, MemberJoined, MemberLeft, MemberChanged, ConversationUpdated)
EPHEMERAL = (Typing, Read)
PERSONAL = (ConversationJoined, ConversationRemoved, Unread, UserChanged)
