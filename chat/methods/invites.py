"""Invites."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import conversations, invites, shapes

METHODS: Final = (
    Method(
        "invite.create",
        invites.InviteCreate,
        invites.InviteResult,
        lambda service, user, request: service.invites.create(user, request),
        "Make a code by which whoever has it may become a member.",
    ),
    Method(
        "invite.list",
        invites.InviteList,
        invites.InvitesResult,
        lambda service, user, request: service.invites.list_of(user, request),
        "The invites by which somebody may still come, without their codes.",
    ),
    Method(
        "invite.revoke",
        invites.InviteRevoke,
        shapes.Done,
        lambda service, user, request: service.invites.revoke(user, request),
        "Let nobody come by an invite any more.",
    ),
    Method(
        "invite.get",
        invites.InviteGet,
        invites.InvitePreview,
        lambda service, user, request: service.invites.get(user, request),
        "What one is invited to.",
    ),
    Method(
        "invite.accept",
        invites.InviteAccept,
        conversations.ConversationResult,
        lambda service, user, request: service.invites.accept(user, request),
        "Become a member by an invite. Whoever is one already just gets the conversation.",
    ),
)
