"""Makes `docs/permissions.md` of the table of rights and of what each method asks."""

from collections.abc import Iterator
from typing import Final

from chat.methods.permissions import RULES, Outcome, Relation, Rule
from chat.usecases.rights import RANK, TABLE, WRITING, Right
from storage.model import ConversationKind, Role

NAME: Final = "permissions.md"

_HEAD: Final = """\
# Who may do what

Made from the tables that decide, by `python -m chat.describe`; a test calls every method as everybody, over the socket
and by REST, and holds it against them.

## Rights

The lowest role that has a right; every higher one has it too: owner, admin, moderator, member, reader. In a thread one
is what one is in the conversation above it. Writing rights (✎) rest while one is muted.
"""

_RELATIONS: Final = """\
## What else decides

- **No member** (a stranger, who has left, who was banned): every method answers as if there were no such conversation,
  103 and in REST 404, whether it exists or not. The exceptions are in the table below.
- **Rank.** Who removes, bans, mutes or gives a role to a member must be above them, and gives no role that is not below
  their own. Owners act on everyone. Else 103 about `user` or `role`, 403.
- **Banned**: not to be added (113), and told so when coming by oneself (103, 403), until the ban ends.
- **Muted**: reads, and may take back what one has said; writing rights are refused with the time (103, 403).
- **Blocked**: in a direct conversation neither sends or edits while one blocks the other (103, 403); typing is accepted
  and not shown.
- **Slow mode**: below a moderator, one message at a time (111, 429). [More](features/moderation.md#slow-mode)
- **Last owner**: stays until somebody else is owner, or everybody else has left (113).

## Methods

"—": whoever is signed in, about what is theirs. "No member" says what somebody gets who is not in the conversation.
"""

_KINDS: Final = (ConversationKind.DIRECT, ConversationKind.GROUP, ConversationKind.CHANNEL, ConversationKind.THREAD)
_OUTSIDE: Final = (Relation.STRANGER, Relation.LEFT, Relation.BANNED)


def permissions_page() -> str:
    """The whole page."""
    parts = [_HEAD, _table(("right", *(kind.value for kind in _KINDS)), _rights()), _RELATIONS]
    return "\n".join([*parts, _table(("method", "right", "no member"), _methods())]).rstrip() + "\n"


def _rights() -> Iterator[tuple[str, ...]]:
    for right in Right:
        mark = " ✎" if right in WRITING else ""
        yield (f"`{right.value}`{mark}", *(_lowest(TABLE[right][kind]) for kind in _KINDS))


def _lowest(roles: frozenset[Role]) -> str:
    return min(roles, key=RANK.__getitem__).value if roles else "nobody"


def _methods() -> Iterator[tuple[str, ...]]:
    for rule in RULES:
        name = f"`{rule.method}`" + (f", {rule.case}" if rule.case else "")
        if rule.outcome is not None:
            yield name, "nobody: as if there were none", ""
        elif rule.right is None:
            yield name, "—", ""
        else:
            yield name, f"`{rule.right.value}`" + (", unless blocked" if rule.blockable else ""), _outside(rule)


def _outside(rule: Rule) -> str:
    told: list[str] = []
    for kind in (ConversationKind.GROUP, ConversationKind.CHANNEL):
        for relation in _OUTSIDE:
            outcome = rule.expected(kind, Role.MEMBER, relation)
            if outcome is not Outcome.FOREIGN:
                told.append(f"{kind.value}, {relation.value}: {outcome.value}")
    return "; ".join(told) or "foreign"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
