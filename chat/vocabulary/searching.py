"""Finding messages of a conversation: what the method takes and returns."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Message
from chat.vocabulary.types import ConversationId, MessageOffset, UserId

MAX_TEXT = 200
MAX_WORDS = 10

Time = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class HistorySearch(Struct, frozen=True):
    """Messages that have all of the words of `text` (or words that begin so), from `sender`, sent after and before
    these times (ms UTC), with attachments; what is left out is not asked for, but something is.

    It begins at `from_offset`, or at the newest message, and goes back.
    """

    conversation: ConversationId
    text: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
    sender: UserId | UnsetType = UNSET
    after: Time | UnsetType = UNSET
    before: Time | UnsetType = UNSET
    has_attachment: bool = False
    from_offset: MessageOffset | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class SearchResult(Struct, frozen=True, omit_defaults=True):
    """Newest first. Everything down to `examined_to` was looked at; give `next` as `from_offset` to look further back,
    also where nothing was found. Without `next` there is nothing older.
    """

    items: list[Message]
    examined_to: int
    next: int | None = None
