"""Who comes, goes and may do what."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import conversations, members, shapes

METHODS: Final = (
    Method(
        "conversation.join",
        members.ConversationJoin,
        conversations.ConversationResult,
        lambda service, user, request: service.membership.join(user, request),
        "Join a channel as a reader.",
    ),
    Method(
        "conversation.leave",
        members.ConversationLeave,
        shapes.Done,
        lambda service, user, request: service.membership.leave(user, request),
        "Leave a group or channel.",
    ),
    Method(
        "conversation.add_members",
        members.ConversationAddMembers,
        shapes.Done,
        lambda service, user, request: service.membership.add_members(user, request),
        "Add members. Users that were never seen are created.",
    ),
    Method(
        "conversation.remove_member",
        members.ConversationRemoveMember,
        shapes.Done,
        lambda service, user, request: service.membership.remove_member(user, request),
        "Remove a member below one's own role.",
    ),
    Method(
        "conversation.set_role",
        members.ConversationSetRole,
        shapes.Done,
        lambda service, user, request: service.membership.set_role(user, request),
        "Change a member's role.",
    ),
    Method(
        "conversation.members",
        members.ConversationMembers,
        members.MembersPage,
        lambda service, user, request: service.membership.members(user, request),
        "The members, by user id.",
    ),
)
