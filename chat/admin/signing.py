"""Signed values that need no storage: links and sessions of the admin page. Pure.

Each purpose has its own key, derived from the one secret, so that a link can never pass for a session.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

MAX_CHARACTERS: Final = 512
"""A sealed value that is longer is refused before anything is computed."""


def seal(secret: bytes, purpose: str, payload: bytes) -> str:
    """`payload`, readable by anyone, with a signature that only `secret` can make. ValueError on a short secret."""
    return f"{_text(payload)}.{_text(_signature(secret, purpose, payload))}"


def unseal(secret: bytes, purpose: str, sealed: str) -> bytes | None:
    """The payload, or None if it was not sealed with this secret for this purpose."""
    if len(sealed) > MAX_CHARACTERS or not sealed.isascii():
        return None
    body, _, signature = sealed.partition(".")
    try:
        payload = _bytes(body)
        given = _bytes(signature)
    except binascii.Error:
        return None
    return payload if hmac.compare_digest(given, _signature(secret, purpose, payload)) else None


def derive(secret: bytes, purpose: str, value: bytes) -> str:
    """A value that follows from `value` for whoever has the secret, and for nobody else."""
    return _text(_signature(secret, purpose, value))


def _signature(secret: bytes, purpose: str, payload: bytes) -> bytes:
    if len(secret) < 16:
        raise ValueError("the admin secret must have at least 16 bytes")
    key = hmac.digest(secret, b"hubbub admin " + purpose.encode(), hashlib.sha256)
    return hmac.digest(key, payload, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
