"""What a handset opens with what is sealed for it alone (RFC 8291), whoever brought it."""

import secrets
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chat.push.lab.webpush_rules import Refused, open_sealed

_AUTH_BYTES: Final = 16


class ContentKeys:
    """A key pair and a secret, made on the device. It tells the public one and the secret when it registers."""

    def __init__(self) -> None:
        self._private: Final = ec.generate_private_key(ec.SECP256R1())
        self.auth: Final = secrets.token_bytes(_AUTH_BYTES)

    @property
    def p256dh(self) -> bytes:
        """65 bytes, uncompressed."""
        return self._private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def unseal(self, sealed: bytes) -> bytes:
        """For `Handset`. Raises ValueError for what was not sealed for these keys."""
        try:
            return open_sealed(sealed, self._private, self.auth)
        except Refused:
            raise ValueError("it is sealed for somebody else") from None
