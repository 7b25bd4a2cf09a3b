"""Remembers verified tokens, so that a reconnect storm costs a hash instead of a signature each."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from chat.auth.claims import Claims


@dataclass(frozen=True, slots=True)
class _Entry:
    claims: Claims
    until_s: float


class ClaimsCache:
    """A bounded map from the SHA-256 of a connection token to its claims; the least recently used goes first.

    An entry lives until the token or its connection expires, at most `max_age_s` (a key that was withdrawn must not go
    on for ever). Refused tokens are not remembered: those cost an attacker nothing to vary.
    """

    def __init__(self, *, max_entries: int = 20_000, max_age_s: float = 300.0) -> None:
        self._max_entries: Final = max_entries
        self._max_age_s: Final = max_age_s
        self._entries: Final[OrderedDict[bytes, _Entry]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str, now_s: float) -> Claims | None:
        """The claims of a token that was verified before and is still good at `now_s`."""
        digest = _digest(token)
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if now_s >= entry.until_s:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return entry.claims

    def put(self, token: str, claims: Claims, now_s: float) -> None:
        """Remember a token that was just verified."""
        ends = [end for end in (claims.valid_until_s, claims.expire_at_s) if end is not None]
        self._entries[_digest(token)] = _Entry(claims, min([now_s + self._max_age_s, *ends]))
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
