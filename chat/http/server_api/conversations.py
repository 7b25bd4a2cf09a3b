"""Conversations by the names of their channels. Pure."""

import msgspec

from chat.channels import Channel
from chat.usecases.failures import Unseen
from chat.vocabulary.types import ConversationId


def conversation_in(channel: Channel) -> str:
    """The conversation of a `conv:` channel. What cannot be an id is as missing as an id that nobody has."""
    try:
        return msgspec.convert(channel.rest, ConversationId)
    except msgspec.ValidationError:
        raise Unseen("no such conversation", "channel") from None
