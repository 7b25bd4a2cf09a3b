"""Reactions to messages: what the methods take and return."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.types import ConversationId, MessageOffset

MAX_AFTER = 160

ReactionName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=64, description="an emoji or a `:short-code:`, 1–64 bytes, no `|` or spaces")
]


class MessageReact(Struct, frozen=True):
    conversation: ConversationId
    offset: MessageOffset
    reaction: ReactionName


class MessageUnreact(Struct, frozen=True):
    conversation: ConversationId
    offset: MessageOffset
    reaction: ReactionName


class ReactionResult(Struct, frozen=True):
    """`reactions` counts users by reaction, with what was just done; `own` are the caller's."""

    reactions: dict[str, int]
    own: list[str]


class MessageReactions(Struct, frozen=True):
    """All reactions, or only one. `after` is the `next` of the page before."""

    conversation: ConversationId
    offset: MessageOffset
    reaction: ReactionName | UnsetType = UNSET
    after: Annotated[str, Meta(max_length=MAX_AFTER)] = ""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class Reacted(Struct, frozen=True):
    """A user's reaction, made `at` (ms UTC)."""

    user: str
    reaction: str
    at: int


class ReactionsPage(Struct, frozen=True, omit_defaults=True):
    """Who reacted: reaction by reaction, by user id. `reactions` counts users by reaction, `own` are the caller's.

    `next` is to be given as `after` for the next page; absent on the last one.
    """

    items: list[Reacted]
    reactions: dict[str, int]
    own: list[str]
    next: str | None = None
