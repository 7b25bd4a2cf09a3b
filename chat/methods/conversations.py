"""Making, finding and describing conversations."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import conversations

METHODS: Final = (
    Method(
        "conversation.create",
        conversations.ConversationCreate,
        conversations.ConversationCreated,
        lambda service, user, request: service.conversations.create(user, request),
        "Create a conversation, or find the one that the key, the external id or the pair of users stands for.",
    ),
    Method(
        "conversation.get",
        conversations.ConversationGet,
        conversations.ConversationResult,
        lambda service, user, request: service.conversations.get(user, request),
        "One conversation as the caller sees it.",
    ),
    Method(
        "conversation.list",
        conversations.ConversationList,
        conversations.ConversationPage,
        lambda service, user, request: service.conversations.list_of(user, request),
        "The caller's conversations, newest activity first, with last message and unread count.",
    ),
    Method(
        "conversation.update",
        conversations.ConversationUpdate,
        conversations.ConversationResult,
        lambda service, user, request: service.conversations.update(user, request),
        "Change title, avatar, description, custom data or settings.",
    ),
    Method(
        "conversation.set_preferences",
        conversations.ConversationSetPreferences,
        conversations.PreferencesResult,
        lambda service, user, request: service.conversations.set_preferences(user, request),
        "Archive, pin or silence a conversation for oneself.",
    ),
)
