"""Users, presence and typing: what the methods take and return."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import User
from chat.vocabulary.types import ConversationId, Custom, Locale, Name, Url, UserId

PresenceState = Literal["online", "offline"]


class Nothing(Struct, frozen=True):
    """A method without parameters."""


class TypingStart(Struct, frozen=True):
    conversation: ConversationId


class TypingStop(Struct, frozen=True):
    conversation: ConversationId


class PresenceGet(Struct, frozen=True):
    users: Annotated[list[UserId], Meta(min_length=1, max_length=100)]


class PresenceOf(Struct, frozen=True, omit_defaults=True):
    user: str
    online: bool = False
    last_seen_at: int | None = None


class PresenceResult(Struct, frozen=True):
    presence: list[PresenceOf]


class UserGet(Struct, frozen=True):
    user: UserId


class PrivacyUpdate(Struct, frozen=True):
    """What others may see: `receipts`, how far one has read; `presence`, whether one is there. What is left out stays.
    Who does not show their own receipts does not see those of others.
    """

    receipts: bool | UnsetType = UNSET
    presence: bool | UnsetType = UNSET


class UserUpdate(Struct, frozen=True):
    name: Name | UnsetType = UNSET
    avatar_url: Url | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET
    privacy: PrivacyUpdate | UnsetType = UNSET


class UserUpsert(Struct, frozen=True):
    """The application's own call (server API): creates the user or changes what is given."""

    user: UserId
    name: Name | UnsetType = UNSET
    avatar_url: Url | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET
    privacy: PrivacyUpdate | UnsetType = UNSET


class UserResult(Struct, frozen=True):
    user: User
