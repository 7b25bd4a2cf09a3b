"""Sending, reading and changing messages."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import messages, shapes

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
    Method(
        "message.edit",
        messages.MessageEdit,
        messages.MessageSent,
        lambda service, user, request: service.changing.edit(user, request),
        "Change what a message says: one's own, or as a moderator.",
    ),
    Method(
        "message.delete",
        messages.MessageDelete,
        shapes.Done,
        lambda service, user, request: service.changing.delete(user, request),
        "Delete a message for all (one's own, or as a moderator), or messages for oneself.",
    ),
    Method(
        "message.versions",
        messages.MessageVersions,
        messages.VersionsPage,
        lambda service, user, request: service.changing.versions(user, request),
        "What a message said before it was edited, for its author and moderators.",
    ),
    Method(
        "message.pin",
        messages.MessagePin,
        shapes.Done,
        lambda service, user, request: service.changing.pin(user, request),
        "Pin a message in its conversation.",
    ),
    Method(
        "message.unpin",
        messages.MessageUnpin,
        shapes.Done,
        lambda service, user, request: service.changing.unpin(user, request),
        "Take a pin off.",
    ),
)
