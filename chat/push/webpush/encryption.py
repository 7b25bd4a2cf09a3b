"""Seals a message for one device: RFC 8291, which is `aes128gcm` of RFC 8188 in one record. Pure.

The same envelope serves every provider where a device has given keys of its own: then nobody on the way can read it.
"""

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chat.push.sending import WebKeys

POINT_BYTES: Final = 65
AUTH_BYTES: Final = 16
SALT_BYTES: Final = 16
RECORD_BYTES: Final = 4096
OVERHEAD_BYTES: Final = 103
"""What sealing adds: salt, record size, length of the key, the key (86 in all), one delimiter, a tag of 16."""
MAX_PLAINTEXT_BYTES: Final = RECORD_BYTES - OVERHEAD_BYTES
"""So that the whole is no larger than what every push service takes."""

_SCALAR_BYTES: Final = 32
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_UNCOMPRESSED: Final = 4
_LAST_RECORD: Final = b"\x02"


class BadKeys(ValueError):
    """No device can have such keys. The text says what is wrong, without them."""


class TooLong(ValueError):
    """More than MAX_PLAINTEXT_BYTES."""


def check_keys(keys: WebKeys) -> None:
    """Raises BadKeys for what is not a point on P-256, uncompressed, and 16 bytes."""
    _public_key(keys)


def seal_for(keys: WebKeys, plaintext: bytes, *, random: Callable[[int], bytes]) -> bytes:
    """The envelope, OVERHEAD_BYTES longer, different every time. `random(k)` gives k unpredictable bytes.

    Raises BadKeys, or TooLong.
    """
    return encrypt(plaintext, keys, ephemeral=new_private_key(random), salt=random(SALT_BYTES))


def encrypt(plaintext: bytes, keys: WebKeys, *, ephemeral: EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """`seal_for` with what it takes at random: a key pair and a salt, never to be used twice."""
    if len(plaintext) > MAX_PLAINTEXT_BYTES:
        raise TooLong(f"has more than {MAX_PLAINTEXT_BYTES} bytes")
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    theirs = _public_key(keys)
    ours = public_point(ephemeral)
    secret = ephemeral.exchange(ECDH(), theirs)
    # HKDF, every output of which is within the first block.
    shared = _digest(_digest(keys.auth, secret), b"WebPush: info\0" + keys.p256dh + ours + b"\x01")
    derived = _digest(salt, shared)
    key = _digest(derived, b"Content-Encoding: aes128gcm\0\x01")[:16]
    nonce = _digest(derived, b"Content-Encoding: nonce\0\x01")[:12]
    header = salt + RECORD_BYTES.to_bytes(4, "big") + POINT_BYTES.to_bytes(1, "big") + ours
    return header + AESGCM(key).encrypt(nonce, plaintext + _LAST_RECORD, None)


def new_private_key(random: Callable[[int], bytes]) -> EllipticCurvePrivateKey:
    """A key on P-256, evenly chosen. `random(k)` gives k unpredictable bytes."""
    while True:
        scalar = int.from_bytes(random(_SCALAR_BYTES), "big")
        # What does not fit is thrown away, not reduced: that would prefer some keys. It happens once in 2^32.
        if 0 < scalar < _ORDER:
            return derive_private_key(scalar, SECP256R1())


def public_point(key: EllipticCurvePrivateKey) -> bytes:
    """The public half, uncompressed: POINT_BYTES."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _public_key(keys: WebKeys) -> EllipticCurvePublicKey:
    if len(keys.auth) != AUTH_BYTES:
        raise BadKeys(f"auth must have {AUTH_BYTES} bytes")
    if len(keys.p256dh) != POINT_BYTES or keys.p256dh[0] != _UNCOMPRESSED:
        raise BadKeys(f"p256dh must be an uncompressed point of {POINT_BYTES} bytes")
    try:
        return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), keys.p256dh)
    except ValueError:
        raise BadKeys("p256dh must be a point on P-256") from None


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
