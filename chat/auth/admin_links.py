"""One-time links that sign an operator in to the admin page: made by `hubbub admin link`, checked by the server. Pure.

A link is a short-lived token in the fragment of a URL: browsers do not send fragments, so it is in no access log and in
no Referer. It works once; remembering `link_id` until `expires_at_s` is the server's part.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

import jwt
import msgspec

from chat.auth.claims import TokenExpired, TokenInvalid
from chat.auth.keys import VerificationKey
from chat.config import Config

_TYPE: Final = "admin-link+jwt"
_MAX_TOKEN_CHARS: Final = 1024
_DERIVATION: Final = b"hubbub admin secret"


@dataclass(frozen=True, slots=True)
class AdminLink:
    """A link that was good. `link_id` may be used once. Seconds since 1970 UTC."""

    link_id: str
    expires_at_s: int


def admin_secret(config: Config) -> str:
    """What signs links and sessions: `admin.secret`, else derived from `api.key`. Empty when both are."""
    if config.admin.secret:
        return config.admin.secret.reveal()
    if config.api.key:
        return hmac.new(config.api.key.reveal().encode(), _DERIVATION, hashlib.sha256).hexdigest()
    return ""


def mint_admin_link(secret: str, *, now_s: float, ttl_s: float) -> str:
    """The token of a new link. `secret` is `admin_secret(config)` and not empty."""
    claims = {"jti": secrets.token_urlsafe(16), "exp": int(now_s + ttl_s)}
    return jwt.encode(claims, _key(secret), algorithm="HS256", headers={"typ": _TYPE})


def admin_url(base_url: str, token: str) -> str:
    """Where to click."""
    return f"{base_url.rstrip('/')}/admin#link={token}"


def verify_admin_link(token: str, secret: str, *, now_s: float) -> AdminLink:
    """Raises TokenExpired, TokenInvalid."""
    if not secret or len(token) > _MAX_TOKEN_CHARS:
        raise TokenInvalid("is not an admin link")
    try:
        if jwt.get_unverified_header(token).get("typ") != _TYPE:
            raise TokenInvalid("is not an admin link")
        payload = VerificationKey("HS256", _key(secret)).payload(token)
    except (jwt.PyJWTError, ValueError):
        raise TokenInvalid("is not an admin link") from None
    if payload is None:
        raise TokenInvalid("signature: is not ours")
    claims = msgspec.json.decode(payload, type=_LinkClaims)
    if now_s >= claims.exp:
        raise TokenExpired("the link is over: make another one")
    return AdminLink(claims.jti, claims.exp)


def _key(secret: str) -> str:
    """The secret in the length that HS256 wants, however long it is."""
    return hashlib.sha256(secret.encode()).hexdigest()


class _LinkClaims(msgspec.Struct):
    jti: str
    exp: int
