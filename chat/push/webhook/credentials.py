"""Where an app's notifications are posted, and the keys that prove who posted them. Pure.

The scheme is that of Standard Webhooks: an HMAC-SHA256 over id, time and body, so that a receiver can tell a request
of ours from another's, and from an old one of ours. With two keys everything is signed by both, which is how they are
replaced: whoever receives knows one of them at any time.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
_MAX_KEYS: Final = 2


class BadWebhook(ValueError):
    """The text says what is wrong, without any of the contents."""


@dataclass(frozen=True, slots=True)
class WebhookCredentials:
    """`keys`: the present one first."""

    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)


class _File(msgspec.Struct):
    url: str
    secrets: list[str]


def parse_webhook(text: bytes | str) -> WebhookCredentials:
    """From JSON, `{"url": "https://…", "secrets": ["whsec_…"]}`. Raises BadWebhook. Where the URL may lead is decided
    by whoever requests it.
    """
    try:
        file = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The message names the field, never a value.
        raise BadWebhook(f"not the JSON of a webhook: {error}") from None
    if not 1 <= len(file.secrets) <= _MAX_KEYS:
        raise BadWebhook(f"it needs 1 to {_MAX_KEYS} secrets")
    return WebhookCredentials(file.url, tuple(map(_key, file.secrets)))


def new_secret(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    return _PREFIX + base64.b64encode(random(32)).decode()


def signature(keys: tuple[bytes, ...], message_id: str, at_s: int, body: bytes) -> str:
    """The header Webhook-Signature: one `v1,…` for each key."""
    signed = f"{message_id}.{at_s}.".encode() + body
    made = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return " ".join(f"v1,{one}" for one in made)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        raise BadWebhook(f"a secret is {_PREFIX} and {_KEY_BYTES[0]} to {_KEY_BYTES[-1]} bytes in base64")
    return key
