"""Sending, reading and changing messages: what the methods take and return."""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Message
from chat.vocabulary.types import Content, ConversationId, Custom, IdempotencyKey, MessageOffset, UserId

MAX_MENTIONS = 50
MAX_ATTACHMENTS = 20
MAX_AT_ONCE = 100
"""Messages that one deletion for oneself names."""

MAX_EXPIRES_IN_S = 366 * 24 * 3600
"""Whatever the operator allows (`limits.message_ttl_max`)."""

MAX_EDITS = 100
MAX_PINS = 100

MentionsGroup: TypeAlias = Literal["all", "here"]
Mentions = Annotated[list[UserId], Meta(max_length=MAX_MENTIONS)]
Attachments = Annotated[list[dict[str, Any]], Meta(max_length=MAX_ATTACHMENTS)]
Version = Annotated[int, Meta(ge=0, le=MAX_EDITS)]


class ForwardOf(Struct, frozen=True):
    """The message that is sent on: the caller has to be able to read it."""

    conversation: ConversationId
    offset: MessageOffset


class MessageSend(Struct, frozen=True):
    """`text`, `content` or both; or `forward`, which takes them from there. The same key with another text answers with
    the original message. `reply_to` is the offset of a message of the same conversation that is not deleted. Whom it
    mentions must be members; `mentions_group` is everyone (`all`), or those who are connected when it is sent (`here`).

    `expires_in_s`: the message deletes itself so long after it was sent. Where the conversation has a `message_ttl_s`
    too, the shorter of the two counts.
    """

    conversation: ConversationId
    idempotency_key: IdempotencyKey
    text: str = ""
    content: Content | UnsetType = UNSET
    reply_to: MessageOffset | UnsetType = UNSET
    mentions: Mentions = []
    mentions_group: MentionsGroup | UnsetType = UNSET
    attachments: Attachments = []
    custom: Custom | UnsetType = UNSET
    forward: ForwardOf | UnsetType = UNSET
    expires_in_s: Annotated[int, Meta(ge=1, le=MAX_EXPIRES_IN_S)] | UnsetType = UNSET


class MessageGet(Struct, frozen=True):
    conversation: ConversationId
    offset: MessageOffset


class MessageEdit(Struct, frozen=True):
    """What is left out stays as it is; empty values, and null for `content` and `mentions_group`, take away. Of
    `mentions` and `mentions_group` who gives one gives both. `if_version`: only if the message has been edited so many
    times.
    """

    conversation: ConversationId
    offset: MessageOffset
    text: str | UnsetType = UNSET
    content: Content | UnsetType | None = UNSET
    mentions: Mentions | UnsetType = UNSET
    mentions_group: MentionsGroup | UnsetType | None = UNSET
    attachments: Attachments | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET
    if_version: Version | UnsetType = UNSET
    idempotency_key: IdempotencyKey | UnsetType = UNSET


class MessageDelete(Struct, frozen=True, rename={"for_": "for"}):
    """One message (`offset`) for `all`, or one or several (`offsets`) for `me`."""

    conversation: ConversationId
    offset: MessageOffset | UnsetType = UNSET
    offsets: Annotated[list[MessageOffset], Meta(min_length=1, max_length=MAX_AT_ONCE)] | UnsetType = UNSET
    for_: Literal["all", "me"] = "all"


class MessageVersions(Struct, frozen=True):
    """Newest first. `before` is the `next` of the page before."""

    conversation: ConversationId
    offset: MessageOffset
    before: Version | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_EDITS + 1)] = 20


class MessagePin(Struct, frozen=True):
    conversation: ConversationId
    offset: MessageOffset


class MessageUnpin(Struct, frozen=True):
    conversation: ConversationId
    offset: MessageOffset


class MessageSent(Struct, frozen=True):
    message: Message
    duplicate: bool


class MessageResult(Struct, frozen=True):
    message: Message


class MessageVersion(Struct, frozen=True, omit_defaults=True):
    """What a message said from `at` on, by the edit of `by`; version 0 is what was sent."""

    version: int
    at: int
    by: str
    text: str = ""
    content: dict[str, Any] | None = None
    mentions: list[str] = []
    attachments: list[dict[str, Any]] = []
    custom: dict[str, Any] = {}


class VersionsPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `before` for the next page; absent on the last one. Versions that retention has removed
    are left out.
    """

    versions: list[MessageVersion]
    next: int | None = None
