"""What several results and events carry: the people, conversations and messages of the wire. Empty fields are left
out, unless they have no default here.
"""

from typing import Any

from msgspec import Struct


class Position(Struct, frozen=True):
    """`offset` in the log and `n`, the count of messages up to it: unread = `head.n - read.n`."""

    offset: int
    n: int


class User(Struct, frozen=True, omit_defaults=True):
    id: str
    name: str
    avatar_url: str = ""
    locale: str = ""
    custom: dict[str, Any] = {}
    last_seen_at: int | None = None


class Message(Struct, frozen=True, omit_defaults=True):
    """Addressed by (conversation, offset); `id` is both in one. Times are ms UTC."""

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
    attachments: list[dict[str, Any]] = []
    custom: dict[str, Any] = {}


class LastMessage(Struct, frozen=True):
    """The newest message as a list shows it; `text` is its first 100 characters."""

    offset: int
    sender: str
    text: str
    created_at: int


class Conversation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A conversation as one member sees it. `peer` is the other user of a direct one."""

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


class Member(Struct, frozen=True):
    user: str
    role: str
    joined_at: int
    read: Position


class Done(Struct, frozen=True):
    """Nothing to say but that it is done."""
