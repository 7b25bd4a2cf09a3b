"""Reacting to messages."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import reactions

METHODS: Final = (
    Method(
        "message.react",
        reactions.MessageReact,
        reactions.ReactionResult,
        lambda service, user, request: service.reacting.react(user, request),
        "Add a reaction to a message. Nothing changes where it is there already.",
    ),
    Method(
        "message.unreact",
        reactions.MessageUnreact,
        reactions.ReactionResult,
        lambda service, user, request: service.reacting.unreact(user, request),
        "Take a reaction of one's own back.",
    ),
    Method(
        "message.reactions",
        reactions.MessageReactions,
        reactions.ReactionsPage,
        lambda service, user, request: service.reacting.reactions(user, request),
        "Who has reacted to a message, and how.",
    ),
)
