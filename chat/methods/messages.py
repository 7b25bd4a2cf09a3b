"""Sending, reading and changing messages."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import messages

METHODS: Final = (
    Method(
        "message.send",
        messages.MessageSend,
        messages.MessageSent,
        lambda service, user, request: service.messages.send(user, request),
        "Send a message. Answered when it is durable; a repeated key answers with the original.",
    ),
    Method(
        "message.get",
        messages.MessageGet,
        messages.MessageResult,
        lambda service, user, request: service.messages.get(user, request),
        "One message.",
    ),
)
