"""Tokens as no library would sign them, and a small world that verifies them: one HMAC key, one moment."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from chat.auth.claims import TokenInvalid, TokenPolicy
from chat.auth.keys import KeyRing, VerificationKey
from chat.auth.tokens import verify

NOW_S = 1_700_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
PATTERN = re.compile(r"^[A-Za-z0-9_.:@|+-]{1,64}$")
POLICY = TokenPolicy(user_id_pattern=PATTERN)
RING = KeyRing([VerificationKey("HS256", SECRET)])


def b64(data: bytes | str | Mapping[str, Any]) -> str:
    if isinstance(data, Mapping):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: Any, payload: Any, secret: str = SECRET) -> str:
    """A token with any header and payload bytes, signed with HMAC-SHA256 whatever the header says."""
    signing_input = f"{b64(header)}.{b64(payload)}"
    signature = jwt.PyJWS().get_algorithm_by_name("HS256").sign(signing_input.encode(), secret.encode())
    return f"{signing_input}.{b64(signature)}"


def signed(payload: Any, **header: Any) -> str:
    return forged({"alg": "HS256", "typ": "JWT", **header}, payload)


def good(**claims: Any) -> dict[str, Any]:
    return {"sub": "anna", "exp": NOW_S + 60, **claims}


def refusal(token: str, ring: KeyRing = RING, policy: TokenPolicy = POLICY) -> str:
    """The reason why a token is refused as invalid (not as expired)."""
    with pytest.raises(TokenInvalid) as caught:
        verify(token, ring, policy, NOW_S)
    return caught.value.reason


def user_of(token: str, ring: KeyRing = RING, policy: TokenPolicy = POLICY) -> str:
    """Whom an accepted token is for."""
    return verify(token, ring, policy, NOW_S).user


def pems(private: Any) -> tuple[str, str]:
    """A key pair: private, public."""
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )
