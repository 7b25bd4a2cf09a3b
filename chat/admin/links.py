"""One-time links that sign an operator in: made by the command line, used by the page, on any process.

A link is a signed (nonce, made at, expires at); making one stores nothing. Using one claims its nonce in Redis until it
expires, so it works once over all processes and restarts. While Redis is away, which is when an operator needs the page
most, each process remembers by itself what it accepted, and refuses links older than itself because it cannot know:
then a link works at most once per process, and not again after a restart.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import structlog

from chat.admin.signing import seal, unseal

LINK_TTL_S: Final = 600.0
CLAIM_TIMEOUT_S: Final = 1.0
MAX_USED: Final = 1_000
"""Links that are remembered as used until they expire; at the bound nobody is signed in."""

_PURPOSE: Final = "link"

_log = structlog.get_logger(__name__)


class Claims(Protocol):
    """Things that happen once over all processes."""

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        """Whether nobody claimed `key` in the last `ttl_s`. ConnectionError or TimeoutError when Redis is away."""


class Link(msgspec.Struct, frozen=True, array_like=True):
    """A link that was signed by us. Times in ms."""

    nonce: str
    minted_at: int
    expires_at: int


def mint(
    secret: bytes, now: int, *, ttl_s: float = LINK_TTL_S, random: Callable[[int], bytes] = secrets.token_bytes
) -> str:
    """The token of a new link, for `<public url>/admin/login#<token>`. `now` in ms; `random` gives so many bytes."""
    link = Link(random(16).hex(), now, now + round(ttl_s * 1000))
    return seal(secret, _PURPOSE, msgspec.json.encode(link))


def verify(secret: bytes, token: str, now: int) -> Link | None:
    """The link if we signed it and it has not expired at `now` (ms), else None. Says nothing about earlier use."""
    payload = unseal(secret, _PURPOSE, token)
    if payload is None:
        return None
    try:
        link = msgspec.json.decode(payload, type=Link)
    except msgspec.DecodeError:
        return None  # signed by a release that meant something else
    return link if now < link.expires_at else None


class UsedLinks:
    """Which links were used, as this process knows it."""

    def __init__(self, claims: Claims, *, started_at: int) -> None:
        """`started_at`: when this process started, in ms."""
        self._claims = claims
        self._started_at = started_at
        self._expires_at: dict[str, int] = {}

    async def use(self, link: Link, now: int) -> bool:
        """Whether this is the first use of a verified link. Takes at most a second."""
        for nonce in [nonce for nonce, expires_at in self._expires_at.items() if expires_at <= now]:
            del self._expires_at[nonce]
        if link.nonce in self._expires_at or len(self._expires_at) >= MAX_USED:
            return False
        # Before the first await: of two uses at once on this process only one gets past here.
        self._expires_at[link.nonce] = link.expires_at
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT_S):
                return await self._claims.claim(f"admin-link:{link.nonce}", ttl_s=(link.expires_at - now) / 1000)
        except (ConnectionError, TimeoutError):
            fresh = link.minted_at >= self._started_at
            _log.warning("admin_link_used_without_redis", accepted=fresh)
            if not fresh:
                del self._expires_at[link.nonce]  # it may be used when Redis is back
            return fresh
