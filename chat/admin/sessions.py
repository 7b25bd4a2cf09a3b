"""Signed sessions of the admin page, kept in a cookie. Nothing is stored: another secret ends them all."""

import hmac
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from chat.admin.signing import derive, seal, unseal

COOKIE: Final = "hubbub_admin"
SESSION_TTL_S: Final = 12 * 3600.0

_PURPOSE: Final = "session"


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Somebody who is signed in until `expires_at` (ms)."""

    id: str
    expires_at: int


def start(now: int, *, ttl_s: float = SESSION_TTL_S, random: Callable[[int], bytes] = secrets.token_bytes) -> Session:
    """A new session from `now` (ms) on."""
    return Session(random(16).hex(), now + round(ttl_s * 1000))


def to_cookie(secret: bytes, session: Session) -> str:
    """The session as the value of a cookie."""
    return seal(secret, _PURPOSE, msgspec.json.encode(session))


def from_cookie(secret: bytes, value: str, now: int) -> Session | None:
    """The session if we signed it and it has not expired at `now` (ms), else None."""
    payload = unseal(secret, _PURPOSE, value)
    if payload is None:
        return None
    try:
        session = msgspec.json.decode(payload, type=Session)
    except msgspec.DecodeError:
        return None  # signed by a release that meant something else
    return session if now < session.expires_at else None


def csrf_token(secret: bytes, session: Session) -> str:
    """What a page of this session must send with everything that changes something."""
    return derive(secret, "csrf", session.id.encode())


def is_csrf_token(secret: bytes, session: Session, given: str) -> bool:
    """Whether `given` is the token of this session, in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), csrf_token(secret, session).encode())
