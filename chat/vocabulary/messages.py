"""Sending and reading single messages: what the methods take and return."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Message
from chat.vocabulary.types import ConversationId, Custom, IdempotencyKey, MessageOffset, UserId

MAX_MENTIONS = 50
MAX_ATTACHMENTS = 20
MAX_EXPIRES_IN_S = 366 * 24 * 3600
"""Whatever the operator allows (`limits.message_ttl_max`)."""


class MessageSend(Struct, frozen=True):
    """`text`, `content` or both. The same key with another text answers with the original message.

    `expires_in_s`: the message deletes itself so long after it was sent. Where the conversation has a `message_ttl_s`
    too, the shorter of the two counts.
    """

    conversation: ConversationId
    idempotency_key: IdempotencyKey
    text: str = ""
    content: dict[str, Any] | UnsetType = UNSET
    reply_to: MessageOffset | UnsetType = UNSET
    mentions: Annotated[list[UserId], Meta(max_length=MAX_MENTIONS)] = []
    attachments: Annotated[list[dict[str, Any]], Meta(max_length=MAX_ATTACHMENTS)] = []
    custom: Custom | UnsetType = UNSET
    expires_in_s: Annotated[int, Meta(ge=1, le=MAX_EXPIRES_IN_S)] | UnsetType = UNSET


class MessageGet(Struct, frozen=True):
    conversation: ConversationId
    offset: MessageOffset


class MessageSent(Struct, frozen=True):
    message: Message
    duplicate: bool


class MessageResult(Struct, frozen=True):
    message: Message
