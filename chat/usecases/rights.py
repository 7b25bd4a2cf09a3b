"""Who may do what in a conversation: a table, not scattered ifs. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from storage.model import ConversationKind, Role

_EVERYONE: Final = frozenset(Role)
_WRITERS: Final = frozenset({Role.OWNER, Role.ADMIN, Role.MODERATOR, Role.MEMBER})
_MODERATORS: Final = frozenset({Role.OWNER, Role.ADMIN, Role.MODERATOR})
_ADMINS: Final = frozenset({Role.OWNER, Role.ADMIN})
_NOBODY: Final[frozenset[Role]] = frozenset()

RANK: Final[Mapping[Role, int]] = {
    Role.OWNER: 4,
    Role.ADMIN: 3,
    Role.MODERATOR: 2,
    Role.MEMBER: 1,
    Role.READER: 0,
}


class Right(StrEnum):
    READ = "read"
    SEND = "send"
    UPDATE = "update"
    ADD_MEMBERS = "add_members"
    REMOVE_MEMBER = "remove_member"
    SET_ROLE = "set_role"
    LEAVE = "leave"


TABLE: Final[Mapping[Right, Mapping[ConversationKind, frozenset[Role]]]] = {
    Right.READ: dict.fromkeys(ConversationKind, _EVERYONE),
    Right.SEND: {
        ConversationKind.DIRECT: _WRITERS,
        ConversationKind.GROUP: _WRITERS,
        ConversationKind.CHANNEL: _MODERATORS,
        ConversationKind.THREAD: _WRITERS,
    },
    Right.UPDATE: {
        ConversationKind.DIRECT: _NOBODY,
        ConversationKind.GROUP: _ADMINS,
        ConversationKind.CHANNEL: _ADMINS,
        ConversationKind.THREAD: _NOBODY,
    },
    Right.ADD_MEMBERS: {
        ConversationKind.DIRECT: _NOBODY,
        ConversationKind.GROUP: _MODERATORS,
        ConversationKind.CHANNEL: _MODERATORS,
        ConversationKind.THREAD: _NOBODY,
    },
    Right.REMOVE_MEMBER: {
        ConversationKind.DIRECT: _NOBODY,
        ConversationKind.GROUP: _MODERATORS,
        ConversationKind.CHANNEL: _MODERATORS,
        ConversationKind.THREAD: _NOBODY,
    },
    Right.SET_ROLE: {
        ConversationKind.DIRECT: _NOBODY,
        ConversationKind.GROUP: _ADMINS,
        ConversationKind.CHANNEL: _ADMINS,
        ConversationKind.THREAD: _NOBODY,
    },
    Right.LEAVE: {
        ConversationKind.DIRECT: _NOBODY,
        ConversationKind.GROUP: _EVERYONE,
        ConversationKind.CHANNEL: _EVERYONE,
        ConversationKind.THREAD: _NOBODY,
    },
}


def allowed(right: Right, kind: ConversationKind, role: Role) -> bool:
    return role in TABLE[right][kind]


def outranks(actor: Role, subject: Role) -> bool:
    """Whether somebody may act on a member: owners on everyone, others only on those below them."""
    return actor is Role.OWNER or RANK[actor] > RANK[subject]
