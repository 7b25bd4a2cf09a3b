"""How far somebody has read: what the methods take and return."""

from msgspec import Struct

from chat.vocabulary.shapes import Position
from chat.vocabulary.types import ConversationId, Offset


class ReadMark(Struct, frozen=True):
    """Read up to and including `offset`. Never goes back."""

    conversation: ConversationId
    offset: Offset


class ReadResult(Struct, frozen=True):
    read: Position
    unread: int
