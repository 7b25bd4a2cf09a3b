"""Making, finding and describing conversations: what the methods take and return."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.members import MAX_MEMBERS_AT_ONCE
from chat.vocabulary.shapes import Conversation, Preferences
from chat.vocabulary.types import (
    END_OF_TIME,
    ConversationId,
    Custom,
    Description,
    ExternalId,
    IdempotencyKey,
    PageLimit,
    Title,
    Url,
    UserId,
)

MAX_SLOW_MODE_S = 21_600
MAX_TTL_S = 31_536_000
MAX_RETENTION_S = 3_153_600_000


class SettingsChange(Struct, frozen=True):
    """What is left out stays as it is; 0 turns a rule off. Six hours, a year and a hundred years are the most."""

    slow_mode_s: Annotated[int, Meta(ge=0, le=MAX_SLOW_MODE_S)] | UnsetType = UNSET
    message_ttl_s: Annotated[int, Meta(ge=0, le=MAX_TTL_S)] | UnsetType = UNSET
    retention_s: Annotated[int, Meta(ge=0, le=MAX_RETENTION_S)] | UnsetType = UNSET


class ConversationCreate(Struct, frozen=True):
    """A direct one has exactly one other member and is the same whoever creates it. The creator of others is owner.

    A direct one has no title, avatar, description or settings.
    """

    kind: Literal["direct", "group", "channel"]
    members: Annotated[list[UserId], Meta(max_length=MAX_MEMBERS_AT_ONCE)] = []
    title: Title = ""
    avatar_url: Url = ""
    description: Description = ""
    custom: Custom | UnsetType = UNSET
    settings: SettingsChange | UnsetType = UNSET
    external_id: ExternalId | UnsetType = UNSET
    idempotency_key: IdempotencyKey | UnsetType = UNSET


class ConversationGet(Struct, frozen=True):
    conversation: ConversationId


class ConversationList(Struct, frozen=True):
    """Newest activity first. `before` is the `next` of the page before. A page may have fewer than `limit`.

    `archived`: those that the caller has archived instead of the others. `pinned`: only those that the caller has
    pinned, or only those that are not. Ask a next page with the same of both.
    """

    limit: PageLimit = 50
    archived: bool = False
    pinned: bool | UnsetType = UNSET
    before: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET


class ConversationUpdate(Struct, frozen=True):
    """What is left out stays as it is."""

    conversation: ConversationId
    title: Title | UnsetType = UNSET
    avatar_url: Url | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET
    settings: SettingsChange | UnsetType = UNSET


class ConversationSetPreferences(Struct, frozen=True):
    """How the caller keeps the conversation, on all devices. What is left out stays as it is; false and 0 clear.

    `muted_until`: no noise before that time; it changes nothing of what is sent. `notify`: which messages ring;
    `default`: as `push.preferences` says.
    """

    conversation: ConversationId
    archived: bool | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    muted_until: Annotated[int, Meta(ge=0, le=END_OF_TIME)] | UnsetType = UNSET
    notify: Literal["default", "all", "mentions", "none"] | UnsetType = UNSET


class ConversationResult(Struct, frozen=True):
    conversation: Conversation


class PreferencesResult(Struct, frozen=True):
    preferences: Preferences


class ConversationCreated(Struct, frozen=True):
    """`duplicate`: it was there before (the same key, external id or pair of users)."""

    conversation: Conversation
    duplicate: bool


class ConversationPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `before` for the next page; absent on the last one."""

    conversations: list[Conversation]
    next: str | None = None
