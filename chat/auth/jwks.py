"""Keys of one JSON Web Key Set, fetched when a `kid` is new and refreshed behind the scenes.

One `KeySet` belongs to one issuer and one URL: a key of one issuer never verifies tokens of another. Looking up waits
for nothing while the set is fresh, nor while it is stale; only a `kid` that was never seen waits, and all waiters share
one fetch. However many unknown `kid`s arrive, fetches are `min_refresh_interval_s` apart.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec
import structlog

from chat.auth.keys import KeyUnusable, VerificationKey

_log = structlog.get_logger(__name__)

MAX_KEYS: Final = 64
_MAX_STALE_S: Final = 24 * 3600.0
"""A set that could not be refreshed for this long is dropped: a key that was withdrawn meanwhile must end some day."""


_LOOK_EVERY_S: Final = 5.0


class KeysUnavailable(Exception):
    """Whether a token is good cannot be known: the key set cannot be fetched and nothing usable is remembered, or it
    cannot be looked up what was revoked. Passing: the client should try again.
    """


Fetch = Callable[[str], Awaitable[bytes]]
"""Fetches a URL. Raises OSError (TimeoutError included) when it cannot."""


class KeySet:
    """An async context manager that owns the one fetch under way; leaving it cancels that."""

    def __init__(
        self,
        url: str,
        *,
        fetch: Fetch,
        monotonic: Callable[[], float],
        refresh_interval_s: float = 3600.0,
        min_refresh_interval_s: float = 10.0,
        on_withdrawn: Callable[[Collection[VerificationKey]], None] = lambda _: None,
    ) -> None:
        """`on_withdrawn` is called with the keys that a refresh no longer finds. It must not raise."""
        self._url: Final = url
        self._fetch: Final = fetch
        self._monotonic: Final = monotonic
        self._refresh_interval_s: Final = refresh_interval_s
        self._min_refresh_interval_s: Final = min_refresh_interval_s
        self._on_withdrawn: Final = on_withdrawn
        self._keys: Mapping[str, VerificationKey] | None = None
        self._fetched_at_s = 0.0
        self._tried_at_s: float | None = None
        self._refresh: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep(), name="jwks-keep")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = {task for task in (self._keeping, self._refresh) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def name(self) -> str:
        """Where it comes from, for people: without what may be secret in a URL."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def known(self) -> tuple[VerificationKey, ...]:
        """The keys that count now."""
        return tuple((self._keys or {}).values())

    async def refresh(self) -> None:
        """Fetch the set now, however long ago the last time was. Failing changes nothing, and is logged."""
        if (before := self._refresh) is not None:
            await asyncio.shield(before)  # may have read what was before
        self._tried_at_s = None
        if (refresh := self._start_refresh()) is not None:
            await asyncio.shield(refresh)

    async def key(self, algorithm: str, kid: str) -> VerificationKey | None:
        """The key named `kid` (the only one, if the token names none), or None. Raises KeysUnavailable.

        Returns at once unless the `kid` is unknown and a fetch is allowed. Cancelling a caller cancels no fetch.
        """
        key = self._find(algorithm, kid)
        refresh = self._start_refresh() if key is None or self._age_s() > self._refresh_interval_s else None
        if key is None and refresh is not None:
            await asyncio.shield(refresh)
            key = self._find(algorithm, kid)
        if key is None and self._keys is None:
            raise KeysUnavailable
        return key

    def _find(self, algorithm: str, kid: str) -> VerificationKey | None:
        if self._keys is None:
            return None
        if self._age_s() > self._refresh_interval_s + _MAX_STALE_S:
            self._replace(None)
            return None
        key = self._keys.get(kid)
        if key is None and not kid and len(self._keys) == 1:
            (key,) = self._keys.values()
        return key if key is not None and key.algorithm == algorithm else None

    def _age_s(self) -> float:
        return self._monotonic() - self._fetched_at_s

    def _start_refresh(self) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one if the last was long enough ago."""
        if self._refresh is not None:
            return self._refresh
        now_s = self._monotonic()
        if self._tried_at_s is not None and now_s - self._tried_at_s < self._min_refresh_interval_s:
            return None
        self._tried_at_s = now_s
        self._refresh = asyncio.create_task(self._fetch_keys(), name="jwks-refresh")
        return self._refresh

    async def _fetch_keys(self) -> None:
        try:
            # None at all after some: more likely a fault of the issuer than a wish to lock out everybody.
            keys = parse_key_set(await self._fetch(self._url), empty=not self._keys)
            self._fetched_at_s = self._monotonic()
            self._replace(keys)
        except (OSError, ValueError) as error:
            _log.warning("jwks_refresh_failed", url=self.name, error=type(error).__name__, reason=str(error))
        else:
            _log.info("jwks_refreshed", url=self.name, keys=len(keys))
        finally:
            self._refresh = None

    def _replace(self, keys: Mapping[str, VerificationKey] | None) -> None:
        before, self._keys = self.known, keys
        staying = {key.fingerprint for key in self.known}
        gone = [key for key in before if key.fingerprint not in staying]
        if gone:
            _log.info("jwks_keys_withdrawn", url=self.name, keys=len(gone))
            self._on_withdrawn(gone)

    async def _keep(self) -> None:
        """A set that was used is looked at even while nobody asks: the sockets that its keys let in are open."""
        while True:
            await asyncio.sleep(min(self._refresh_interval_s, _LOOK_EVERY_S))
            if self._keys is not None and self._age_s() > self._refresh_interval_s:
                await self.refresh()


def parse_key_set(body: bytes, *, empty: bool = True) -> Mapping[str, VerificationKey]:
    """The usable keys by `kid`; those of no use to us are skipped. Raises ValueError for what is no key set, too large,
    or of no use at all where `empty` is False.
    """
    try:
        rows = msgspec.json.decode(body, type=_KeySetDocument).keys
    except (ValueError, RecursionError):
        raise ValueError("is not a JSON Web Key Set") from None
    if len(rows) > MAX_KEYS:
        raise ValueError(f"has more than {MAX_KEYS} keys")
    keys: dict[str, VerificationKey] = {}
    for row in rows:
        try:
            key = VerificationKey.from_jwk(row)
        except KeyUnusable as error:
            _log.debug("jwks_key_skipped", reason=str(error))
        else:
            keys[key.kid] = key
    if not keys and not empty:
        raise ValueError("has no key that can be used")
    return keys


class _KeySetDocument(msgspec.Struct):
    keys: list[dict[str, object]]
