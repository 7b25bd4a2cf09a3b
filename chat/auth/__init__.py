"""Who somebody is: tokens, the keys that verify them, the origin of web pages. Rights are decided elsewhere."""

from chat.auth.claims import (
    Claims,
    SubscribeOptions,
    SubscriptionClaims,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenMismatch,
    TokenPolicy,
    TokenRevoked,
    UserBlocked,
)
from chat.auth.jwks import KeysUnavailable
from chat.auth.origin import OriginCheck
from chat.auth.verifier import TokenVerifier, Verifiers, open_verifiers

__all__ = [
    "Claims",
    "KeysUnavailable",
    "OriginCheck",
    "SubscribeOptions",
    "SubscriptionClaims",
    "TokenError",
    "TokenExpired",
    "TokenInvalid",
    "TokenMismatch",
    "TokenPolicy",
    "TokenRevoked",
    "TokenVerifier",
    "UserBlocked",
    "Verifiers",
    "open_verifiers",
]
