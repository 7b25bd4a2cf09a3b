"""Making, finding and describing conversations: what the methods take and return."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.members import MAX_MEMBERS_AT_ONCE
from chat.vocabulary.shapes import Conversation
from chat.vocabulary.types import ConversationId, Custom, ExternalId, IdempotencyKey, PageLimit, Title, UserId


class ConversationCreate(Struct, frozen=True):
    """A direct one has exactly one other member and is the same whoever creates it. The creator of others is owner."""

    kind: Literal["direct", "group", "channel"]
    members: Annotated[list[UserId], Meta(max_length=MAX_MEMBERS_AT_ONCE)] = []
    title: Title = ""
    custom: Custom | UnsetType = UNSET
    external_id: ExternalId | UnsetType = UNSET
    idempotency_key: IdempotencyKey | UnsetType = UNSET


class ConversationGet(Struct, frozen=True):
    conversation: ConversationId


class ConversationList(Struct, frozen=True):
    """Newest activity first. `before` is the `next` of the page before. A page may have fewer than `limit`."""

    limit: PageLimit = 50
    before: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET


class ConversationUpdate(Struct, frozen=True):
    conversation: ConversationId
    title: Title | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET


class ConversationResult(Struct, frozen=True):
    conversation: Conversation


class ConversationCreated(Struct, frozen=True):
    """`duplicate`: it was there before (the same key, external id or pair of users)."""

    conversation: Conversation
    duplicate: bool


class ConversationPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `before` for the next page; absent on the last one."""

    conversations: list[Conversation]
    next: str | None = None
