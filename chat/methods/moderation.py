"""Keeping people out and keeping them quiet."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import moderation, shapes

METHODS: Final = (
    Method(
        "conversation.ban",
        moderation.ConversationBan,
        shapes.Done,
        lambda service, user, request: service.moderation.ban(user, request),
        "Remove a member below one's own role and keep them out, or keep a stranger out.",
    ),
    Method(
        "conversation.unban",
        moderation.ConversationUnban,
        shapes.Done,
        lambda service, user, request: service.moderation.unban(user, request),
        "Let somebody come back.",
    ),
    Method(
        "conversation.bans",
        moderation.ConversationBans,
        moderation.BansPage,
        lambda service, user, request: service.moderation.bans(user, request),
        "Who is kept out, by user id.",
    ),
    Method(
        "conversation.mute",
        moderation.ConversationMute,
        shapes.Done,
        lambda service, user, request: service.moderation.mute(user, request),
        "Let a member below one's own role read only, for a while.",
    ),
    Method(
        "conversation.unmute",
        moderation.ConversationUnmute,
        shapes.Done,
        lambda service, user, request: service.moderation.unmute(user, request),
        "Let a member write again.",
    ),
)
