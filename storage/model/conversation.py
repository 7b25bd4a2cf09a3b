"""Conversations: what is shared by all members. The head and the last message are a summary derived from the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storage.model.position import Position


class ConversationKind(StrEnum):
    """The values are the wire's."""

    DIRECT = "direct"
    GROUP = "group"
    CHANNEL = "channel"
    THREAD = "thread"


@dataclass(frozen=True, slots=True)
class LastMessage:
    """The newest message of the main timeline, for lists of conversations. `text` is its first 100 characters; with
    `deleted_at` there is none left.
    """

    offset: int
    sender: str
    text: str
    created_at: int
    deleted_at: int | None = None


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """What its admins have set. 0 turns a rule off. The names are the wire's.

    `slow_mode_s`: a member waits so long between two messages. `message_ttl_s`: a message expires so long after it was
    sent. `retention_s`: entries older than this are removed from the log, oldest first.
    """

    slow_mode_s: int = 0
    message_ttl_s: int = 0
    retention_s: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation.

    `head`, `last_message` and `activity_at` trail the log by about a second: they are never ahead of it and never fall.
    A thread names its `parent` conversation; a direct conversation has its two users in `peers`, in order of their ids.
    `pins` are the offsets of pinned messages, last pinned last. `oldest` is the first offset that is retained, after
    `oldest_n` messages that are not.
    """

    id: str
    kind: ConversationKind
    title: str
    custom: Mapping[str, Any]
    external_id: str | None
    created_by: str
    created_at: int
    updated_at: int
    members_count: int
    head: Position
    last_message: LastMessage | None
    activity_at: int
    parent: str | None = None
    peers: tuple[str, str] | None = None
    avatar_url: str = ""
    description: str = ""
    settings: ConversationSettings = ConversationSettings()
    pins: tuple[int, ...] = ()
    oldest: int = 1
    oldest_n: int = 0

    @property
    def floor(self) -> Position:
        """Up to here nothing is retained: nobody's unread messages are before it."""
        return Position(self.oldest - 1, self.oldest_n)
