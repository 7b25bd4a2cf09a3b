"""What several results and events carry: the people, conversations and messages of the wire. Empty fields are left
out, unless they have no default here.
"""

from typing import Any

from msgspec import Struct


class Position(Struct, frozen=True):
    """`offset` in the log and `n`, the count of messages up to it: unread = `head.n - read.n`."""

    offset: int
    n: int


class Privacy(Struct, frozen=True):
    """What others may see of a user. Who does not show their own receipts does not see those of others."""

    receipts: bool = True
    presence: bool = True


class User(Struct, frozen=True, omit_defaults=True):
    id: str
    name: str
    avatar_url: str = ""
    locale: str = ""
    custom: dict[str, Any] = {}
    last_seen_at: int | None = None
    privacy: Privacy | None = None


class Forwarded(Struct, frozen=True):
    """Where a forwarded message was said first."""

    conversation: str
    offset: int
    sender: str
    created_at: int


class LastMessage(Struct, frozen=True, omit_defaults=True):
    """The newest message as a list shows it; `text` is its first 100 characters. With `deleted_at` there are none."""

    offset: int
    sender: str
    text: str
    created_at: int
    deleted_at: int | None = None


class LastReply(Struct, frozen=True):
    """The newest reply, and where it is; what it says is read there."""

    offset: int
    sender: str
    created_at: int


class Thread(Struct, frozen=True, omit_defaults=True):
    """The replies below a message: the conversation that they are in, how many, and the last one."""

    conversation: str
    replies: int
    last_reply: LastReply | None = None


class Message(Struct, frozen=True, omit_defaults=True):
    """In its present state. Addressed by (conversation, offset); `id` is both in one. Times are ms UTC.

    `version` counts its edits. `reactions` counts users by reaction. Of a deleted message nothing is left but who sent
    it, when, and `deleted_at`. `mentions_group`: it mentions everyone (`all`), or who was there (`here`).
    """

    id: str
    conversation: str
    offset: int
    n: int
    sender: str
    text: str
    created_at: int
    idempotency_key: str | None = None
    content: dict[str, Any] | None = None
    reply_to: int | None = None
    mentions: list[str] = []
    mentions_group: str | None = None
    attachments: list[dict[str, Any]] = []
    custom: dict[str, Any] = {}
    forwarded: Forwarded | None = None
    version: int = 0
    edited_at: int | None = None
    deleted_at: int | None = None
    expires_at: int | None = None
    pinned_at: int | None = None
    reactions: dict[str, int] = {}
    thread: Thread | None = None


class Settings(Struct, frozen=True, omit_defaults=True):
    """What the admins of a conversation have set; 0: off.

    `slow_mode_s`: a member waits so long between two messages. `message_ttl_s`: a message expires so long after it was
    sent. `retention_s`: what is older is removed.
    """

    slow_mode_s: int = 0
    message_ttl_s: int = 0
    retention_s: int = 0


class Preferences(Struct, frozen=True, omit_defaults=True):
    """How the caller keeps a conversation, on all devices. `muted_until` is a time (ms UTC). `notify`: which messages
    ring, `all`, `mentions` or `none`; absent: as `push.preferences` says.
    """

    archived_at: int | None = None
    pinned_at: int | None = None
    muted_until: int | None = None
    notify: str | None = None


class Conversation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A conversation as one member sees it. `peer` is the other user of a direct one.

    `unread_from`: the member has marked it as unread from this offset on. `mentions`: unread messages that mention the
    member. `pins`: offsets of pinned messages, last pinned last. `oldest`: the first offset that is retained.
    `muted_until`: a moderator has muted the member until then.
    """

    id: str
    kind: str
    title: str
    role: str
    members_count: int
    head: Position
    read: Position
    unread: int
    activity_at: int
    created_at: int
    updated_at: int
    custom: dict[str, Any] = {}
    external_id: str | None = None
    peer: User | None = None
    parent: str | None = None
    last_message: LastMessage | None = None
    avatar_url: str = ""
    description: str = ""
    settings: Settings = Settings()
    preferences: Preferences = Preferences()
    delivered: Position | None = None
    unread_from: int | None = None
    mentions: int = 0
    pins: list[int] = []
    oldest: int = 1
    muted_until: int | None = None


class Member(Struct, frozen=True, omit_defaults=True):
    """`read` and `delivered` are absent where the member does not show them, or the conversation is too large for it.
    `muted_until`: may not write before.
    """

    user: str
    role: str
    joined_at: int
    read: Position | None = None
    delivered: Position | None = None
    muted_until: int | None = None


class Done(Struct, frozen=True):
    """Nothing to say but that it is done."""
