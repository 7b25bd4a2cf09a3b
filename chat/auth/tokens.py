"""Verifies connection and subscription tokens: cheap refusals, then the signature by PyJWT, then the claims. Pure."""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from chat.auth.claims import (
    Claims,
    SubscriptionClaims,
    TokenInvalid,
    TokenPolicy,
    read_claims,
    read_subscription_claims,
)
from chat.auth.keys import ALGORITHMS, KeyRing, VerificationKey
from realtime.backend import Credential

T = TypeVar("T")

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES: Final = frozenset({"", "jwt", "at+jwt"})
"""`typ` of tokens that may be for us. Others (`refresh+jwt`, `logout+jwt`, `dpop+jwt`, our own admin links) are not."""
_MAX_KID_CHARS: Final = 128
MAX_TOKEN_ID_CHARS: Final = 256
"""A longer `jti` is no name: such a token can be revoked by its SHA-256."""


@dataclass(frozen=True, slots=True)
class Header:
    """What chooses the key. Not verified."""

    algorithm: str
    kid: str


class _Header(Struct):
    alg: str
    kid: str = ""
    typ: str = ""
    crit: Raw | UnsetType = UNSET
    b64: Raw | UnsetType = UNSET


_HEADER_DECODER: Final = msgspec.json.Decoder(_Header)


def verify(token: str, keys: KeyRing, policy: TokenPolicy, now_s: float) -> Claims:
    """The claims of a connection token at `now_s` (seconds since 1970). Raises TokenExpired, TokenInvalid."""
    header = read_header(token, policy)
    return verify_with(token, keys.select(header.algorithm, header.kid), policy, now_s)


def verify_subscription(token: str, keys: KeyRing, policy: TokenPolicy, now_s: float) -> SubscriptionClaims:
    """The claims of a subscription token at `now_s`. Whom and what it is for is the caller's to `demand`.

    Raises TokenExpired, TokenInvalid.
    """
    header = read_header(token, policy)
    return verify_subscription_with(token, keys.select(header.algorithm, header.kid), policy, now_s)


def verify_with(token: str, keys: Sequence[VerificationKey], policy: TokenPolicy, now_s: float) -> Claims:
    """Like `verify`, for a token whose header was read and whose keys were chosen. With the credential."""
    claims, key = _verified(token, keys, lambda payload: read_claims(payload, policy, now_s))
    return replace(claims, credential=credential_of(token, claims, key))


def verify_subscription_with(
    token: str, keys: Sequence[VerificationKey], policy: TokenPolicy, now_s: float
) -> SubscriptionClaims:
    """Like `verify_subscription`, for a token whose header was read and whose keys were chosen."""
    return _verified(token, keys, lambda payload: read_subscription_claims(payload, policy, now_s))[0]


def token_name(token: str) -> str:
    """What a token is called where it must not be written down: its SHA-256, in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def credential_of(token: str, claims: Claims | SubscriptionClaims, key: VerificationKey | None = None) -> Credential:
    """The names by which it can be revoked (its `jti`, its SHA-256), its age and its key."""
    own = (claims.token_id,) if 0 < len(claims.token_id) <= MAX_TOKEN_ID_CHARS else ()
    return Credential((*own, token_name(token)), claims.issued_at_s, key.fingerprint if key else "")


def signed_by(token: str, key: VerificationKey) -> bool:
    """Whether it was, however much else is wrong with it."""
    try:
        return key.payload(token) is not None
    except ValueError:
        return False


def check_length(token: str, policy: TokenPolicy) -> None:
    """Before even a hash is made of it. Raises TokenInvalid."""
    if len(token) > policy.max_length_bytes:
        raise TokenInvalid("is longer than token.max_length_bytes")


def read_header(token: str, policy: TokenPolicy) -> Header:
    """Refuse what cannot be a token for us before anything costly is done with it. Raises TokenInvalid."""
    check_length(token, policy)
    if _COMPACT.fullmatch(token) is None:
        raise TokenInvalid("is not three parts of base64url")
    encoded = token.partition(".")[0]
    try:
        header = _HEADER_DECODER.decode(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except msgspec.ValidationError as error:
        raise TokenInvalid(f"header: {error}") from None
    except (ValueError, RecursionError):
        raise TokenInvalid("header: is not JSON") from None
    if header.alg not in ALGORITHMS:
        raise TokenInvalid("header: alg is not one that is accepted")
    if header.typ.lower().removeprefix("application/") not in _TYPES:
        raise TokenInvalid("header: typ is of another kind of token")
    if header.crit is not UNSET or header.b64 is not UNSET:
        raise TokenInvalid("header: crit and b64 are not supported")
    if len(header.kid) > _MAX_KID_CHARS:
        raise TokenInvalid("header: kid is too long")
    return Header(header.alg, header.kid)


def _verified(token: str, keys: Sequence[VerificationKey], read: Callable[[bytes], T]) -> tuple[T, VerificationKey]:
    if not keys:
        raise TokenInvalid("no key for its alg and kid")
    for key in keys:
        try:
            payload = key.payload(token)
        except ValueError:
            raise TokenInvalid("is malformed") from None
        if payload is not None:
            return read(payload), key
    raise TokenInvalid("signature: is not from a known key")
