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
    """The newest message of the main timeline, for lists of conversations. `text` is its first 100 characters."""

    offset: int
    sender: str
    text: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation.

    `head`, `last_message` and `activity_at` trail the log by about a second: they are never ahead of it and never fall.
    A thread names its `parent` conversation; a direct conversation has its two users in `peers`, in order of their ids.
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
