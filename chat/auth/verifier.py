"""Ties it together: configured keys, key set, cache and clock, behind two questions."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from chat.auth.cache import ClaimsCache
from chat.auth.claims import Claims, SubscriptionClaims, TokenPolicy
from chat.auth.jwks import Fetch, KeySet
from chat.auth.keys import HMAC, KeyRing, VerificationKey
from chat.auth.tokens import Header, read_header, verify_subscription_with, verify_with
from chat.config import Config, TokenSection


class TokenVerifier:
    """Verifies tokens. Waits only when a key set has to be fetched for a `kid` that was never seen."""

    def __init__(
        self,
        keys: KeyRing,
        policy: TokenPolicy,
        *,
        clock: Callable[[], float],
        key_set: KeySet | None = None,
        cache: ClaimsCache | None = None,
    ) -> None:
        """`clock` gives seconds since 1970 UTC."""
        self._keys: Final = keys
        self._policy: Final = policy
        self._clock: Final = clock
        self._key_set: Final = key_set
        self._cache: Final = cache

    async def connection(self, token: str) -> Claims:
        """Who connects. An empty token is anonymous where the policy allows that.

        Raises TokenExpired (error 109), TokenInvalid (close 3500), KeysUnavailable (a temporary error).
        """
        if not token and self._policy.allow_anonymous:
            return Claims(user="", expire_at_s=None)
        if self._cache is not None and (known := self._cache.get(token, self._clock())) is not None:
            return known
        keys = await self._select(read_header(token, self._policy))
        claims = verify_with(token, keys, self._policy, self._clock())
        if self._cache is not None:
            self._cache.put(token, claims, self._clock())
        return claims

    async def subscription(self, token: str, *, user: str, channel: str) -> SubscriptionClaims:
        """The right of `user` to `channel`.

        Raises TokenExpired (error 109), TokenInvalid (103), TokenMismatch (close 3500), KeysUnavailable (temporary).
        """
        keys = await self._select(read_header(token, self._policy))
        claims = verify_subscription_with(token, keys, self._policy, self._clock())
        claims.demand(user=user, channel=channel)
        return claims

    async def _select(self, header: Header) -> tuple[VerificationKey, ...]:
        keys = self._keys.select(header.algorithm, header.kid)
        if keys or self._key_set is None or header.algorithm in HMAC:
            return keys
        key = await self._key_set.key(header.algorithm, header.kid)
        return () if key is None else (key,)


@dataclass(frozen=True, slots=True)
class Verifiers:
    """`connections` for connect and refresh, `subscriptions` for subscribe and sub_refresh."""

    connections: TokenVerifier
    subscriptions: TokenVerifier


@asynccontextmanager
async def open_verifiers(
    config: Config, *, clock: Callable[[], float], monotonic: Callable[[], float], fetch: Fetch | None = None
) -> AsyncIterator[Verifiers]:
    """The verifiers of a configuration, with what they own. Raises ConfigError for keys that cannot be used.

    `fetch` replaces the HTTP client (tests).
    """
    anonymous = config.client.insecure or config.client.allow_anonymous_connect_without_token
    async with AsyncExitStack() as stack:

        async def opened(section: TokenSection, path: str, cache: ClaimsCache | None) -> TokenVerifier:
            keys, policy = KeyRing.from_config(section, path), policy_of(section, allow_anonymous=anonymous)
            key_set = await stack.enter_async_context(_open_key_set(section, monotonic, fetch))
            return TokenVerifier(keys, policy, clock=clock, key_set=key_set, cache=cache)

        connections = await opened(config.token, "token", ClaimsCache())
        subscriptions = connections
        if config.subscription_token.enabled:
            subscriptions = await opened(config.subscription_token, "subscription_token", None)
        yield Verifiers(connections, subscriptions)


@asynccontextmanager
async def _open_key_set(
    section: TokenSection, monotonic: Callable[[], float], fetch: Fetch | None
) -> AsyncIterator[KeySet | None]:
    if not section.jwks_public_endpoint:
        yield None
        return
    async with AsyncExitStack() as stack:
        if fetch is None:
            # The HTTP client is half of what there is to import, and most deployments have no key set.
            from chat.auth.fetch import open_fetch

            fetch = await stack.enter_async_context(open_fetch())
        yield await stack.enter_async_context(
            KeySet(
                section.jwks_public_endpoint,
                fetch=fetch,
                monotonic=monotonic,
                refresh_interval_s=section.jwks_refresh_interval,
                min_refresh_interval_s=section.jwks_min_refresh_interval,
            )
        )


def policy_of(section: TokenSection, *, allow_anonymous: bool = False) -> TokenPolicy:
    """What a table of the configuration demands of tokens."""
    return TokenPolicy(
        user_id_pattern=re.compile(section.user_id_pattern),
        max_length_bytes=section.max_length_bytes,
        audience=section.audience,
        issuer=section.issuer,
        require_exp=section.require_exp,
        clock_skew_s=section.clock_skew,
        allow_anonymous=allow_anonymous,
    )


def check_keys(config: Config) -> None:
    """Raises ConfigError for keys that cannot be used. For `hubbub check-config`; starting checks it anyway."""
    KeyRing.from_config(config.token, "token")
    if config.subscription_token.enabled:
        KeyRing.from_config(config.subscription_token, "subscription_token")
