"""Restrictions: what the application decided against users and tokens that are good by themselves."""

from dataclasses import dataclass
from enum import StrEnum


class RestrictionKind(StrEnum):
    """A user is blocked, one token is revoked, the tokens of a user up to some time are invalidated."""

    BLOCKED = "blocked"
    REVOKED = "revoked"
    INVALIDATED = "invalidated"


@dataclass(frozen=True, slots=True)
class Restriction:
    """Times are seconds since 1970 UTC, as in tokens. `subject` is the user, or the name of the token.

    Invalidated are those issued before `issued_before`, or that do not say when; with a `channel` the subscription
    tokens for it, else the connection tokens. `expires_at`: forgotten from then on; None: never. `revision` counts the
    changes of all restrictions.
    """

    kind: RestrictionKind
    subject: str
    channel: str = ""
    issued_before: int = 0
    expires_at: int | None = None
    revision: int = 0

    @property
    def key(self) -> str:
        """One of a kind for each subject and channel."""
        return restriction_key(self.kind, self.subject, self.channel)

    def stands(self, now_s: float) -> bool:
        """Whether it is still in force."""
        return self.expires_at is None or now_s < self.expires_at

    def forbids(self, issued_at: int | None) -> bool:
        """Whether a token that was issued then is one of the invalidated."""
        return (issued_at or 0) < self.issued_before


def restriction_key(kind: RestrictionKind, subject: str, channel: str = "") -> str:
    """Users, names of tokens and channels may contain anything that could stand between them."""
    return f"{kind}|{len(subject)}:{subject}{channel}"
