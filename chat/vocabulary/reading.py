"""How far somebody has read and received: what the methods take and return."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Message, Position
from chat.vocabulary.types import ConversationId, MessageOffset, Offset


class ReadMark(Struct, frozen=True):
    """Read up to and including `offset`; what is read is received. Never goes back."""

    conversation: ConversationId
    offset: Offset


class ReadMarkUnread(Struct, frozen=True):
    """Marked as unread from `offset` on, until one reads up to there or beyond. The read position stays."""

    conversation: ConversationId
    offset: MessageOffset


class DeliveredMark(Struct, frozen=True):
    """A device has everything up to and including `offset`. Never goes back."""

    conversation: ConversationId
    offset: Offset


class ReadResult(Struct, frozen=True, omit_defaults=True):
    """`unread`: messages after the read position; `mentions`: those of them that mention the caller."""

    read: Position
    unread: int
    mentions: int = 0
    unread_from: int | None = None


class DeliveredResult(Struct, frozen=True):
    delivered: Position


class ReadTotals(Struct, frozen=True):
    """No parameters."""


class Totals(Struct, frozen=True):
    """Unread messages, those of them that mention the caller, and the conversations that have any or are marked as
    unread.
    """

    unread: int
    mentions: int
    conversations: int


class TotalsResult(Struct, frozen=True):
    """Of all conversations that are neither archived nor muted; `muted` has those that are muted, `threads` the threads
    that the caller follows.
    """

    unread: int
    mentions: int
    conversations: int
    muted: Totals
    threads: Totals


class MessageSeenBy(Struct, frozen=True):
    """By user id. `after` is the `next` of the page before."""

    conversation: ConversationId
    offset: MessageOffset
    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class SeenBy(Struct, frozen=True):
    """A member whose devices have the message; `read`: who has read it, too."""

    user: str
    read: bool


class SeenByPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `after` for the next page; absent on the last one. A page may have fewer than
    `limit`.
    """

    members: list[SeenBy]
    next: str | None = None


class MentionList(Struct, frozen=True):
    """Newest first, of one conversation or of all. `before` is the `next` of the page before."""

    conversation: ConversationId | UnsetType = UNSET
    before: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class MentionPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `before` for the next page; absent on the last one. A page may have fewer than
    `limit`.
    """

    items: list[Message]
    next: str | None = None
