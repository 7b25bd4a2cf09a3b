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
    """What one may want to do. `own`: with one's own message; the other is with anybody's."""

    READ = "read"
    SEND = "send"
    EDIT_OWN = "edit_own"
    EDIT_ANY = "edit_any"
    DELETE_OWN = "delete_own"
    DELETE_ANY = "delete_any"
    READ_VERSIONS = "read_versions"
    REACT = "react"
    PIN = "pin"
    MENTION_EVERYONE = "mention_everyone"
    UPDATE = "update"
    INVITE = "invite"
    ADD_MEMBERS = "add_members"
    REMOVE_MEMBER = "remove_member"
    BAN = "ban"
    MUTE = "mute"
    SET_ROLE = "set_role"
    LEAVE = "leave"


def _in(
    direct: frozenset[Role], group: frozenset[Role], channel: frozenset[Role], thread: frozenset[Role]
) -> Mapping[ConversationKind, frozenset[Role]]:
    return {
        ConversationKind.DIRECT: direct,
        ConversationKind.GROUP: group,
        ConversationKind.CHANNEL: channel,
        ConversationKind.THREAD: thread,
    }


# In a thread one has the role that one has in the conversation that it belongs to.
TABLE: Final[Mapping[Right, Mapping[ConversationKind, frozenset[Role]]]] = {
    #                            direct      group        channel      thread
    Right.READ: _in(_EVERYONE, _EVERYONE, _EVERYONE, _EVERYONE),
    Right.SEND: _in(_WRITERS, _WRITERS, _MODERATORS, _WRITERS),
    Right.EDIT_OWN: _in(_WRITERS, _WRITERS, _MODERATORS, _WRITERS),
    Right.EDIT_ANY: _in(_NOBODY, _MODERATORS, _MODERATORS, _MODERATORS),
    Right.DELETE_OWN: _in(_EVERYONE, _EVERYONE, _EVERYONE, _EVERYONE),
    Right.DELETE_ANY: _in(_NOBODY, _MODERATORS, _MODERATORS, _MODERATORS),
    Right.READ_VERSIONS: _in(_NOBODY, _MODERATORS, _MODERATORS, _MODERATORS),
    Right.REACT: _in(_WRITERS, _WRITERS, _EVERYONE, _WRITERS),
    Right.PIN: _in(_WRITERS, _MODERATORS, _MODERATORS, _MODERATORS),
    Right.MENTION_EVERYONE: _in(_WRITERS, _MODERATORS, _MODERATORS, _MODERATORS),
    Right.UPDATE: _in(_NOBODY, _ADMINS, _ADMINS, _NOBODY),
    Right.INVITE: _in(_NOBODY, _MODERATORS, _MODERATORS, _NOBODY),
    Right.ADD_MEMBERS: _in(_NOBODY, _MODERATORS, _MODERATORS, _NOBODY),
    Right.REMOVE_MEMBER: _in(_NOBODY, _MODERATORS, _MODERATORS, _NOBODY),
    Right.BAN: _in(_NOBODY, _MODERATORS, _MODERATORS, _NOBODY),
    Right.MUTE: _in(_NOBODY, _MODERATORS, _MODERATORS, _NOBODY),
    Right.SET_ROLE: _in(_NOBODY, _ADMINS, _ADMINS, _NOBODY),
    Right.LEAVE: _in(_NOBODY, _EVERYONE, _EVERYONE, _NOBODY),
}


WRITING: Final = frozenset({Right.SEND, Right.EDIT_OWN, Right.EDIT_ANY, Right.REACT, Right.PIN, Right.MENTION_EVERYONE})
"""What a member has not while muted. One may always take back what one has said."""


def allowed(right: Right, kind: ConversationKind, role: Role) -> bool:
    return role in TABLE[right][kind]


def outranks(actor: Role, subject: Role) -> bool:
    """Whether somebody may act on a member: owners on everyone, others only on those below them."""
    return actor is Role.OWNER or RANK[actor] > RANK[subject]
