"""What each method asks of its caller: one row for each of its cases. The permission matrix is made of it and of the
table of rights; `docs/permissions.md` shows it, and a test calls everything as everybody. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chat.usecases.rights import WRITING, Right, allowed
from storage.model import ConversationKind, Role


class Relation(StrEnum):
    """How somebody stands to a conversation, besides the role in it. `blocked`: one of the two of a direct one blocks
    the other.
    """

    MEMBER = "member"
    MUTED = "muted"
    BLOCKED = "blocked"
    LEFT = "left"
    BANNED = "banned"
    STRANGER = "stranger"


class Outcome(StrEnum):
    """`foreign`: the same answer as for a conversation that there is not."""

    ALLOWED = "allowed"
    FOREIGN = "foreign"
    ROLE = "role"
    MUTED = "muted"
    BLOCKED = "blocked"
    BANNED = "banned"
    UNSEEN = "unseen"


MEMBERS: Final = (Relation.MEMBER, Relation.MUTED, Relation.BLOCKED)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method asks in one `case` ("": always). `right` is that in the conversation which the request names; None:
    it names none, and whoever is signed in may. `blockable`: not while one of two blocks the other. `others` is what
    somebody gets who is no member, where it is not `foreign`, by kind of conversation. `outcome`: what everybody gets.
    """

    method: str
    case: str = ""
    right: Right | None = None
    blockable: bool = False
    others: Mapping[tuple[ConversationKind, Relation], Outcome] | None = None
    outcome: Outcome | None = None

    def expected(self, kind: ConversationKind, role: Role, relation: Relation) -> Outcome:
        """What comes of it."""
        if self.outcome is not None:
            return self.outcome
        if self.right is None:
            return Outcome.ALLOWED
        if relation not in MEMBERS:
            return (self.others or {}).get((kind, relation), Outcome.FOREIGN)
        if self.blockable and relation is Relation.BLOCKED:
            return Outcome.BLOCKED
        if not allowed(self.right, kind, role):
            return Outcome.ROLE
        if relation is Relation.MUTED and self.right in WRITING:
            return Outcome.MUTED
        return Outcome.ALLOWED


_COMERS: Final = (Relation.LEFT, Relation.STRANGER)
_BY_CODE: Final = {
    (kind, relation): Outcome.ALLOWED
    for kind in (ConversationKind.GROUP, ConversationKind.CHANNEL)
    for relation in (*_COMERS, Relation.BANNED)
}

_OWN: Final = "one's own"
_ANOTHERS: Final = "another's"

RULES: Final = (
    Rule("message.send", right=Right.SEND, blockable=True),
    Rule("message.get", right=Right.READ),
    Rule("message.edit", _OWN, Right.EDIT_OWN, blockable=True),
    Rule("message.edit", _ANOTHERS, Right.EDIT_ANY, blockable=True),
    Rule("message.delete", _OWN, Right.DELETE_OWN),
    Rule("message.delete", _ANOTHERS, Right.DELETE_ANY),
    Rule("message.delete", "for oneself", Right.READ),
    Rule("message.versions", _OWN, Right.READ),
    Rule("message.versions", _ANOTHERS, Right.READ_VERSIONS),
    Rule("message.pin", right=Right.PIN),
    Rule("message.unpin", right=Right.PIN),
    Rule("message.react", right=Right.REACT),
    Rule("message.unreact", right=Right.READ),
    Rule("message.reactions", right=Right.READ),
    Rule("message.seen_by", right=Right.READ, blockable=True),
    Rule("conversation.create"),
    Rule("conversation.get", right=Right.READ),
    Rule("conversation.list"),
    Rule("conversation.update", right=Right.UPDATE),
    Rule("conversation.set_preferences", right=Right.READ),
    Rule(
        "conversation.join",
        right=Right.READ,
        others={
            **{(ConversationKind.CHANNEL, relation): Outcome.ALLOWED for relation in _COMERS},
            (ConversationKind.CHANNEL, Relation.BANNED): Outcome.BANNED,
        },
    ),
    Rule("conversation.leave", right=Right.LEAVE),
    Rule("conversation.add_members", right=Right.ADD_MEMBERS),
    Rule("conversation.remove_member", right=Right.REMOVE_MEMBER),
    Rule("conversation.set_role", right=Right.SET_ROLE),
    Rule("conversation.members", right=Right.READ),
    Rule("conversation.ban", right=Right.BAN),
    Rule("conversation.unban", right=Right.BAN),
    Rule("conversation.bans", right=Right.BAN),
    Rule("conversation.mute", right=Right.MUTE),
    Rule("conversation.unmute", right=Right.MUTE),
    Rule("invite.create", right=Right.INVITE),
    Rule("invite.list", right=Right.INVITE),
    Rule("invite.revoke", right=Right.INVITE),
    Rule("invite.get", "with the code", Right.READ, others=_BY_CODE),
    Rule(
        "invite.accept",
        "with the code",
        Right.READ,
        others={
            outsider: Outcome.BANNED if outsider[1] is Relation.BANNED else Outcome.ALLOWED for outsider in _BY_CODE
        },
    ),
    Rule("thread.list"),
    Rule("thread.follow", right=Right.READ),
    Rule("thread.unfollow", right=Right.READ),
    Rule("history.page", right=Right.READ),
    Rule("history.pins", right=Right.READ),
    Rule("history.search", right=Right.READ),
    Rule("read.mark", right=Right.READ),
    Rule("read.mark_unread", right=Right.READ),
    Rule("read.totals"),
    Rule("delivered.mark", right=Right.READ),
    Rule("mention.list", "of all"),
    Rule("mention.list", "of one", Right.READ),
    Rule("typing.start", right=Right.SEND),
    Rule("typing.stop", right=Right.SEND),
    Rule("presence.get"),
    Rule("user.get"),
    Rule("user.update"),
    Rule("user.block"),
    Rule("user.unblock"),
    Rule("user.blocked"),
    Rule("sync"),
    Rule("upload.create"),
    Rule("upload.complete", _ANOTHERS, outcome=Outcome.UNSEEN),
    Rule("device.register"),
    Rule("device.unregister"),
    Rule("device.list"),
    Rule("push.vapid_key"),
    Rule("push.preferences"),
    Rule("client.state"),
    Rule("push.trace"),
    Rule("push.ack"),
    Rule("push.test", "no device of the caller's", outcome=Outcome.UNSEEN),
    Rule("upload.get", "another's, of no message that one may read", outcome=Outcome.UNSEEN),
)
