"""Reading a conversation page by page: what the methods take and return."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Message
from chat.vocabulary.types import ConversationId, Offset, PageLimit


class HistoryPage(Struct, frozen=True, rename={"from_": "from"}):
    """At most one of `before`, `after`, `around` and `from`; without any the newest messages."""

    conversation: ConversationId
    before: Offset | UnsetType = UNSET
    after: Offset | UnsetType = UNSET
    around: Offset | UnsetType = UNSET
    from_: Literal["first_unread"] | UnsetType = UNSET
    limit: PageLimit = 50


class PageInfo(Struct, frozen=True, omit_defaults=True):
    """`oldest` and `newest` are the bounds to page on from; `truncated_by`: why there are fewer than asked for."""

    has_before: bool
    has_after: bool
    oldest: int | None = None
    newest: int | None = None
    truncated_by: str | None = None


class MessagePage(Struct, frozen=True):
    """Messages in ascending order, whichever way one pages."""

    items: list[Message]
    page: PageInfo


class HistoryPins(Struct, frozen=True):
    """`before` is the `next` of the page before."""

    conversation: ConversationId
    before: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class PinsPage(Struct, frozen=True, omit_defaults=True):
    """Last pinned first. `next` is to be given as `before` for the next page; absent on the last one."""

    items: list[Message]
    next: str | None = None
