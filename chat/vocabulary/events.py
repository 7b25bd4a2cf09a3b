"""What happens, as clients hear it: the data of publications. `offset` is the entry's own, absent where it is
ephemeral.
"""

from typing import Any

from msgspec import Struct

from chat.vocabulary.shapes import Message, Position, Preferences, Settings, Thread


class _Event(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """`by` did it, `at` (ms UTC). Nobody (an empty `by`): the server itself."""

    conversation: str
    offset: int
    at: int
    by: str


class MessageCreated(_Event, frozen=True, tag="message.created"):
    message: Message


class MessageEdited(_Event, frozen=True, tag="message.edited"):
    """The whole message as it is after the edit."""

    target: int
    message: Message


class MessageDeleted(_Event, frozen=True, tag="message.deleted"):
    """Nothing is left of the message but its place, its sender and when it was sent. `reason`: `expired` where nobody
    deleted it.
    """

    target: int
    reason: str | None = None


class ReactionChanged(_Event, frozen=True, tag="reaction.changed"):
    """The counts as they are now, at most once a second per message."""

    target: int
    reactions: dict[str, int]


class MessagePinned(_Event, frozen=True, tag="message.pinned"):
    target: int


class MessageUnpinned(_Event, frozen=True, tag="message.unpinned"):
    target: int


class ThreadChanged(_Event, frozen=True, tag="thread.changed"):
    """There are replies below the message `target`, at most once a second per thread."""

    target: int
    thread: Thread


class JoinedMember(Struct, frozen=True):
    user: str
    role: str


class MemberJoined(_Event, frozen=True, tag="member.joined"):
    members: list[JoinedMember]


class MemberLeft(_Event, frozen=True, tag="member.left"):
    """By themselves (`by` is the user) or removed. `banned`: may not come back."""

    user: str
    banned: bool = False


class MemberChanged(_Event, frozen=True, tag="member.changed"):
    """`muted_until`: a moderator has muted the member until then; absent: not muted."""

    user: str
    role: str
    muted_until: int | None = None


class ConversationUpdated(_Event, frozen=True, tag="conversation.updated"):
    """Only what changed."""

    title: str | None = None
    avatar_url: str | None = None
    description: str | None = None
    custom: dict[str, Any] | None = None
    settings: Settings | None = None
    oldest: int | None = None


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


class Delivered(_Ephemeral, frozen=True, tag="delivered"):
    """A device of this member has everything up to here."""

    delivered: Position


class Presence(_Ephemeral, frozen=True, tag="presence"):
    """The member came or has gone."""

    online: bool
    last_seen_at: int | None = None


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


class ThreadFollowed(Struct, frozen=True, tag_field="type", tag="thread.followed"):
    """On `user:`: the user follows a thread from now on, by replying or on another device. A `subscribe` push for it
    follows or came before.
    """

    conversation: str
    at: int


class ThreadUnfollowed(Struct, frozen=True, tag_field="type", tag="thread.unfollowed"):
    """On `user:`: the user follows a thread no longer."""

    conversation: str
    at: int


class PreferencesChanged(Struct, frozen=True, tag_field="type", tag="conversation.preferences"):
    """On `user:`: the user keeps the conversation differently, set on another device perhaps."""

    conversation: str
    preferences: Preferences


class MessageHidden(Struct, frozen=True, tag_field="type", tag="message.hidden"):
    """On `user:`: the user has deleted these messages for themselves."""

    conversation: str
    offsets: list[int]


class Unread(Struct, frozen=True, tag_field="type", tag="unread"):
    """On `user:`: the read position or the mark beside it was moved, on another device perhaps."""

    conversation: str
    read: Position
    unread: int
    mentions: int = 0
    unread_from: int | None = None


class UserChanged(Struct, frozen=True, tag_field="type", tag="user.changed"):
    """On `user:`: the user's own profile changed."""

    user: str
    at: int


DURABLE = (
    MessageCreated,
    MessageEdited,
    MessageDeleted,
    ReactionChanged,
    MessagePinned,
    MessageUnpinned,
    ThreadChanged,
    MemberJoined,
    MemberLeft,
    MemberChanged,
    ConversationUpdated,
)
EPHEMERAL = (Typing, Presence, Read, Delivered)
PERSONAL = (
    ThreadFollowed,
    ThreadUnfollowed,
    ConversationJoined,
    ConversationRemoved,
    PreferencesChanged,
    MessageHidden,
    Unread,
    UserChanged,
)
