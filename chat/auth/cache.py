"""Remembers verified tokens, so that a reconnect storm costs a hash instead of a signature each."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from chat.auth.claims import Claims


@dataclass(slots=True)
class Known:
    """A token that was verified. `unrestricted`: it was looked up that nobody has taken it back or blocked its user."""

    claims: Claims
    until_s: float
    unrestricted: bool = False


class ClaimsCache:
    """A bounded map from the name of a connection token (its SHA-256) to its claims; the least recently used goes
    first.

    An entry lives until the token or its connection expires, at most `max_age_s` (a key that was withdrawn must not go
    on for ever). Refused tokens are not remembered: those cost an attacker nothing to vary.
    """

    def __init__(self, *, max_entries: int = 20_000, max_age_s: float = 300.0) -> None:
        self._max_entries: Final = max_entries
        self._max_age_s: Final = max_age_s
        self._entries: Final[OrderedDict[str, Known]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str, now_s: float) -> Known | None:
        """What is known of a token that was verified before and is still good at `now_s`."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if now_s >= entry.until_s:
            del self._entries[name]
            return None
        self._entries.move_to_end(name)
        return entry

    def put(self, name: str, claims: Claims, now_s: float) -> Known:
        """Remember a token that was just verified."""
        ends = [end for end in (claims.valid_until_s, claims.expire_at_s) if end is not None]
        entry = self._entries[name] = Known(claims, min([now_s + self._max_age_s, *ends]))
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return entry

    def doubt(self, users: Collection[str], tokens: Collection[str]) -> None:
        """Something was decided about these users or tokens: it is to be looked up again."""
        for entry in self._entries.values():
            if entry.claims.user in users or not tokens_of(entry).isdisjoint(tokens):
                entry.unrestricted = False

    def forget_keys(self, keys: Collection[str]) -> None:
        """These keys verify nothing any more."""
        for name in [name for name, entry in self._entries.items() if entry.claims.credential.key in keys]:
            del self._entries[name]


def tokens_of(entry: Known) -> frozenset[str]:
    """The names of the token."""
    return frozenset(entry.claims.credential.names)
