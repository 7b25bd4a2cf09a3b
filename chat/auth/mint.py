"""Makes tokens, for `hubbub token`, the local mode and tests. Applications use a JWT library of their own."""

import secrets
import warnings
from collections.abc import Mapping
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from chat.config import Secret


def connection_token(
    user: str,
    key: Secret,
    *,
    now_s: float,
    ttl_s: float | None,
    algorithm: str = "HS256",
    kid: str = "",
    claims: Mapping[str, Any] | None = None,
) -> str:
    """A signed connection token for `user`, without `exp` if `ttl_s` is None. `claims` are added: info, channels, aud.

    `key` is the HMAC secret, or a private key in PEM for the other algorithms. Raises ValueError if it cannot sign.
    """
    return _sign({"sub": user, **_times(now_s, ttl_s), **(claims or {})}, key, algorithm, kid)


def subscription_token(
    user: str,
    channel: str,
    key: Secret,
    *,
    now_s: float,
    ttl_s: float | None,
    algorithm: str = "HS256",
    kid: str = "",
    claims: Mapping[str, Any] | None = None,
) -> str:
    """A signed token for `user` to subscribe to `channel`. Otherwise like `connection_token`."""
    return _sign({"sub": user, "channel": channel, **_times(now_s, ttl_s), **(claims or {})}, key, algorithm, kid)


def new_secret() -> str:
    """48 random bytes as 64 characters that need no quoting anywhere: long enough for every HMAC algorithm."""
    return secrets.token_urlsafe(48)


def _times(now_s: float, ttl_s: float | None) -> dict[str, int]:
    issued = {"iat": int(now_s)}
    return issued if ttl_s is None else {**issued, "exp": int(now_s + ttl_s)}


def _sign(claims: Mapping[str, Any], key: Secret, algorithm: str, kid: str) -> str:
    with warnings.catch_warnings():
        # `check-config` and `doctor` say that a key is short; a warning per token would say it to the wrong person.
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        try:
            return jwt.encode(dict(claims), key.reveal(), algorithm=algorithm, headers={"kid": kid} if kid else None)
        except jwt.PyJWTError as error:
            raise ValueError(f"the key cannot sign with {algorithm}") from error
