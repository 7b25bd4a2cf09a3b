"""Tokens as an application's server makes them, with any JWT library."""

import time
from typing import Any

import jwt

SECRET = "conformance-secret-of-32-bytes-or-more"


def connection_token(user: str, *, ttl_s: float = 600, **claims: Any) -> str:
    """Signs `user` in for a while; a negative time makes an expired one."""
    return _signed({"sub": user, "exp": int(time.time() + ttl_s), **claims})


def subscription_token(user: str, channel: str, *, ttl_s: float = 600, **claims: Any) -> str:
    """Lets `user` subscribe to one channel."""
    return _signed({"sub": user, "channel": channel, "exp": int(time.time() + ttl_s), **claims})


def _signed(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, SECRET, "HS256")
