"""What methods take. One struct a method, the same for RPC and REST."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.types import (
    ConversationId,
    Custom,
    ExternalId,
    IdempotencyKey,
    Locale,
    MessageOffset,
    Name,
    Offset,
    PageLimit,
    Title,
    Url,
    UserId,
)

MAX_MEMBERS_AT_ONCE = 1000
MAX_MENTIONS = 50
MAX_ATTACHMENTS = 20


class Nothing(Struct, frozen=True):
    """A method without parameters."""


class MessageSend(Struct, frozen=True):
    """`text`, `content` or both. The same key with another text answers with the original message."""

    conversation: ConversationId
    idempotency_key: IdempotencyKey
    text: str = ""
    content: dict[str, Any] | UnsetType = UNSET
    reply_to: MessageOffset | UnsetType = UNSET
    mentions: Annotated[list[UserId], Meta(max_length=MAX_MENTIONS)] = []
    attachments: Annotated[list[dict[str, Any]], Meta(max_length=MAX_ATTACHMENTS)] = []
    custom: Custom | UnsetType = UNSET


class MessageGet(Struct, frozen=True):
    conversation: ConversationId
    offset: MessageOffset


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


class ConversationJoin(Struct, frozen=True):
    conversation: ConversationId


class ConversationLeave(Struct, frozen=True):
    conversation: ConversationId


class ConversationAddMembers(Struct, frozen=True):
    conversation: ConversationId
    members: Annotated[list[UserId], Meta(min_length=1, max_length=MAX_MEMBERS_AT_ONCE)]
    role: Literal["admin", "moderator", "member", "reader"] | UnsetType = UNSET


class ConversationRemoveMember(Struct, frozen=True):
    conversation: ConversationId
    user: UserId


class ConversationSetRole(Struct, frozen=True):
    conversation: ConversationId
    user: UserId
    role: Literal["owner", "admin", "moderator", "member", "reader"]


class ConversationMembers(Struct, frozen=True):
    """By user id. `after` is the last user of the page before."""

    conversation: ConversationId
    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class HistoryPage(Struct, frozen=True, rename={"from_": "from"}):
    """At most one of `before`, `after`, `around` and `from`; without any the newest messages."""

    conversation: ConversationId
    before: Offset | UnsetType = UNSET
    after: Offset | UnsetType = UNSET
    around: Offset | UnsetType = UNSET
    from_: Literal["first_unread"] | UnsetType = UNSET
    limit: PageLimit = 50


class ReadMark(Struct, frozen=True):
    """Read up to and including `offset`. Never goes back."""

    conversation: ConversationId
    offset: Offset


class TypingStart(Struct, frozen=True):
    conversation: ConversationId


class TypingStop(Struct, frozen=True):
    conversation: ConversationId


class PresenceGet(Struct, frozen=True):
    users: Annotated[list[UserId], Meta(min_length=1, max_length=100)]


class UserGet(Struct, frozen=True):
    user: UserId


class UserUpdate(Struct, frozen=True):
    name: Name | UnsetType = UNSET
    avatar_url: Url | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET


class UserUpsert(Struct, frozen=True):
    """The application's own call (server API): creates the user or changes what is given."""

    user: UserId
    name: Name | UnsetType = UNSET
    avatar_url: Url | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET


class Sync(Struct, frozen=True):
    """What the client has: `cursors` are the offsets up to which it has everything; `revision` is that of its last
    sync.

    `before` continues a sync that did not fit one reply: it is the `next` of the reply before.
    """

    epoch: Annotated[str, Meta(max_length=64)] = ""
    revision: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    cursors: dict[ConversationId, Offset] = {}
    before: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET
    limit: PageLimit = 100
