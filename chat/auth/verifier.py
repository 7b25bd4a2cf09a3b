"""Ties it together: configured keys, key set, cache, clock and what was taken back, behind two questions."""

import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from chat.auth.cache import ClaimsCache
from chat.auth.claims import Claims, SubscriptionClaims, TokenInvalid, TokenPolicy, TokenRevoked
from chat.auth.jwks import Fetch, KeySet, KeysUnavailable
from chat.auth.keys import HMAC, KeyRing, VerificationKey
from chat.auth.tokens import (
    Header,
    check_length,
    credential_of,
    read_header,
    signed_by,
    token_name,
    verify_subscription_with,
    verify_with,
)
from chat.config import Config, TokenSection
from realtime.backend import Credential

MAX_RETIRED: Final = 16
"""Withdrawn keys that are remembered: their tokens are told to be expired, so that clients fetch others."""


class Restrictions(Protocol):
    """What was decided against users and tokens that are good by themselves."""

    @property
    def changes(self) -> int:
        """Grows with everything that is decided."""

    async def demand(self, user: str, credential: Credential, channel: str = "") -> None:
        """Raises UserBlocked, TokenRevoked; KeysUnavailable when it cannot be known. `channel`: of a token for one."""


class Unrestricted:
    """Nothing was decided against anybody."""

    changes: Final = 0

    async def demand(self, user: str, credential: Credential, channel: str = "") -> None:
        """See `Restrictions`."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count, and what is demanded besides. Replaced as a whole when the keys change."""

    keys: KeyRing
    policy: TokenPolicy
    key_set: KeySet | None = None

    def every_key(self) -> list[VerificationKey]:
        return [*self.keys, *(self.key_set.known if self.key_set is not None else ())]


class TokenVerifier:
    """Verifies tokens. Waits only when a key set has to be fetched for a `kid` that was never seen, or where it has to
    be looked up whether the token was taken back: once for a token that stays in the cache.
    """

    def __init__(
        self,
        keys: KeyRing,
        policy: TokenPolicy,
        *,
        clock: Callable[[], float],
        key_set: KeySet | None = None,
        cache: ClaimsCache | None = None,
        restrictions: Restrictions | None = None,
    ) -> None:
        """`clock` gives seconds since 1970 UTC."""
        self._trust = Trust(keys, policy, key_set)
        self._clock: Final = clock
        self._cache: Final = cache
        self._retired: Final[deque[VerificationKey]] = deque(maxlen=MAX_RETIRED)
        self.restrictions: Restrictions = restrictions or Unrestricted()

    async def connection(self, token: str) -> Claims:
        """Who connects. An empty token is anonymous where the policy allows that.

        Raises TokenExpired (error 109), TokenInvalid (close 3500), UserBlocked (close 3503), KeysUnavailable (a
        temporary error).
        """
        trust = self._trust
        if not token and trust.policy.allow_anonymous:
            return Claims(user="", expire_at_s=None)
        check_length(token, trust.policy)
        name = token_name(token)
        known = None if self._cache is None else self._cache.get(name, self._clock())
        if known is not None and known.unrestricted:
            return known.claims
        if known is not None:
            claims = known.claims
        else:
            claims = await self._verify(token)
            known = None if self._cache is None else self._cache.put(name, claims, self._clock())
        before = self.restrictions.changes
        await self.restrictions.demand(claims.user, claims.credential)
        if known is not None and self.restrictions.changes == before:
            known.unrestricted = True
        return claims

    async def subscription(self, token: str, *, user: str, channel: str) -> SubscriptionClaims:
        """The right of `user` to `channel`.

        Raises TokenExpired (error 109), TokenInvalid (103), TokenMismatch (close 3500), KeysUnavailable (temporary).
        """
        trust = self._trust
        header = read_header(token, trust.policy)
        keys = await _select(trust, header)
        try:
            claims = verify_subscription_with(token, keys, trust.policy, self._clock())
        except TokenInvalid:
            self._demand_not_retired(token, header)
            raise
        claims.demand(user=user, channel=channel)
        await self.restrictions.demand(user, credential_of(token, claims), channel)
        return claims

    def trust(self, trust: Trust) -> None:
        """Trust these keys from now on, and no others."""
        before, self._trust = self._trust.every_key(), trust
        staying = {key.fingerprint for key in trust.every_key()}
        self.retire([key for key in before if key.fingerprint not in staying])

    def retire(self, keys: Collection[VerificationKey]) -> None:
        """These keys verify nothing any more."""
        self._retired.extend(keys)
        if self._cache is not None:
            self._cache.forget_keys({key.fingerprint for key in keys})

    def doubt(self, users: Collection[str], tokens: Collection[str]) -> None:
        """Something was decided about these users or tokens: it is to be looked up again."""
        if self._cache is not None:
            self._cache.doubt(users, tokens)

    def every_key(self) -> list[VerificationKey]:
        return self._trust.every_key()

    async def _verify(self, token: str) -> Claims:
        while True:
            trust = self._trust
            header = read_header(token, trust.policy)
            keys = await _select(trust, header)
            if trust is not self._trust:
                continue  # others count since
            try:
                return verify_with(token, keys, trust.policy, self._clock())
            except TokenInvalid:
                self._demand_not_retired(token, header)
                raise

    def _demand_not_retired(self, token: str, header: Header) -> None:
        """A token of a withdrawn key is to be replaced by another one, which "invalid" would not lead to."""
        for key in self._retired:
            if (key.algorithm, key.kid) in ((header.algorithm, header.kid), (header.algorithm, "")) and signed_by(
                token, key
            ):
                raise TokenRevoked("signature: its key was withdrawn") from None


async def _select(trust: Trust, header: Header) -> tuple[VerificationKey, ...]:
    keys = trust.keys.select(header.algorithm, header.kid)
    if keys or trust.key_set is None or header.algorithm in HMAC:
        return keys
    key = await trust.key_set.key(header.algorithm, header.kid)
    return () if key is None else (key,)


class Verifiers:
    """`connections` for connect and refresh, `subscriptions` for subscribe and sub_refresh.

    `on_withdrawn` is called with the fingerprints of keys that are trusted no longer, for the sessions that they let
    in. Made by `open_verifiers`, which closes what `reload` opens.
    """

    def __init__(
        self, *, clock: Callable[[], float], monotonic: Callable[[], float], fetch: Fetch | None = None
    ) -> None:
        self._monotonic = monotonic
        self._fetch = fetch
        self._key_sets: dict[_Source, _Opened] = {}
        self._started = False
        self.on_withdrawn: Callable[[frozenset[str]], None] = lambda _: None
        nobody, nothing = KeyRing(()), TokenPolicy(re.compile(""))
        self.connections: Final = TokenVerifier(nobody, nothing, clock=clock, cache=ClaimsCache())
        self.subscriptions: Final = TokenVerifier(nobody, nothing, clock=clock)

    async def reload(self, config: Config) -> None:
        """Trust the keys of this configuration from now on: new ones verify, those that are gone do not, and
        `on_withdrawn` hears of them. Key sets are fetched anew.

        Raises ConfigError for keys that cannot be used, KeysUnavailable for a new key set that cannot be fetched; then
        everything stays as it was. Not to be called twice at a time.
        """
        separate = config.subscription_token.enabled
        anonymous = config.client.insecure or config.client.allow_anonymous_connect_without_token
        ring = KeyRing.from_config(config.token, "token")
        other = KeyRing.from_config(config.subscription_token, "subscription_token") if separate else ring
        section = config.subscription_token if separate else config.token
        wanted = {source for source in (_source(config.token), _source(section)) if source is not None}
        opened = await self._open_new(wanted)
        dropped = {source: one for source, one in self._key_sets.items() if source not in wanted}
        kept = {source: one for source, one in self._key_sets.items() if source in wanted}
        self._key_sets = {**kept, **opened}
        was = self.connections.every_key()
        self.connections.trust(self._trusted(config.token, ring, anonymous=anonymous))
        self.subscriptions.trust(self._trusted(section, other, anonymous=anonymous))
        self._started = True
        self._tell(was)
        for one in dropped.values():
            await one.stack.aclose()
        for one in kept.values():
            await one.key_set.refresh()

    def restrict(self, restrictions: Restrictions) -> None:
        """Ask these from now on."""
        self.connections.restrictions = self.subscriptions.restrictions = restrictions

    def doubt(self, users: Collection[str], tokens: Collection[str]) -> None:
        """Something was decided about these users or tokens: it is to be looked up again."""
        self.connections.doubt(users, tokens)

    async def aclose(self) -> None:
        """End the fetches under way."""
        for one in self._key_sets.values():
            await one.stack.aclose()

    def _trusted(self, section: TokenSection, keys: KeyRing, *, anonymous: bool) -> Trust:
        source = _source(section)
        key_set = None if source is None else self._key_sets[source].key_set
        return Trust(keys, policy_of(section, allow_anonymous=anonymous), key_set)

    def _tell(self, was: Collection[VerificationKey]) -> None:
        gone = {key.fingerprint for key in was} - {key.fingerprint for key in self.connections.every_key()}
        if gone:
            self.on_withdrawn(frozenset(gone))

    def _withdrawn(self, keys: Collection[VerificationKey]) -> None:
        """A key set has them no longer."""
        self.connections.retire(keys)
        self.subscriptions.retire(keys)
        self._tell(keys)

    async def _open_new(self, wanted: Collection["_Source"]) -> "dict[_Source, _Opened]":
        """What is not there yet, all of it or nothing. At the start a key set may come later."""
        opened: dict[_Source, _Opened] = {}
        async with AsyncExitStack() as unless_kept:
            for source in wanted:
                if source not in self._key_sets:
                    stack = await unless_kept.enter_async_context(AsyncExitStack())
                    opened[source] = _Opened(await self._open(stack, source), stack)
                    if self._started:
                        await opened[source].key_set.refresh()
                        if not opened[source].key_set.known:
                            raise KeysUnavailable(f"{opened[source].key_set.name} has no key set")
            unless_kept.pop_all()
        return opened

    async def _open(self, stack: AsyncExitStack, source: "_Source") -> KeySet:
        fetch: Fetch | None = self._fetch
        if fetch is None:
            # The HTTP client is half of what there is to import, and most deployments have no key set.
            from chat.auth.fetch import open_fetch

            fetch = await stack.enter_async_context(open_fetch(inside=source.inside))
        key_set = KeySet(
            source.url,
            fetch=fetch,
            monotonic=self._monotonic,
            refresh_interval_s=source.refresh_interval_s,
            min_refresh_interval_s=source.min_refresh_interval_s,
            on_withdrawn=self._withdrawn,
        )
        return await stack.enter_async_context(key_set)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a key set comes from. One for each issuer and URL: tables that say the same share it."""

    issuer: str
    url: str
    inside: bool
    refresh_interval_s: float
    min_refresh_interval_s: float


@dataclass(frozen=True, slots=True)
class _Opened:
    key_set: KeySet
    stack: AsyncExitStack


def _source(section: TokenSection) -> _Source | None:
    if not section.jwks_public_endpoint:
        return None
    return _Source(
        section.issuer,
        section.jwks_public_endpoint,
        section.jwks_allow_private_network,
        section.jwks_refresh_interval,
        section.jwks_min_refresh_interval,
    )


@asynccontextmanager
async def open_verifiers(
    config: Config, *, clock: Callable[[], float], monotonic: Callable[[], float], fetch: Fetch | None = None
) -> AsyncIterator[Verifiers]:
    """The verifiers of a configuration, with what they own. Raises ConfigError for keys that cannot be used.

    `fetch` replaces the HTTP client (tests).
    """
    verifiers = Verifiers(clock=clock, monotonic=monotonic, fetch=fetch)
    try:
        await verifiers.reload(config)
        yield verifiers
    finally:
        await verifiers.aclose()


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
