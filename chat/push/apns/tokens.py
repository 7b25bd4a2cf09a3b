"""Provider tokens: the JWT that says whose pushes they are. One for each team and key in a process, whatever the number
of connections, and never a new one before the last is 20 minutes old: APNs takes frequent changes for an attack.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chat.push.apns.settings import TokenSettings


class InvalidKey(ValueError):
    """The text says what is wrong, without the key."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the vendor's developer site: `private_key` is what its .p8 file has, PEM."""

    team: str
    key_id: str
    private_key: str = field(repr=False)

    def load(self) -> EllipticCurvePrivateKey:
        """Raises InvalidKey."""
        try:
            key = load_pem_private_key(self.private_key.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidKey("is no private key in PEM without a password") from None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise InvalidKey("is no key for ES256, on the curve P-256")
        return key


class ProviderToken:
    """The present token of one key. Nothing here waits: signing takes a tenth of a millisecond."""

    def __init__(
        self,
        key: Key,
        settings: TokenSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        """Raises InvalidKey. `random()`: in [0, 1), for when exactly a token is replaced."""
        self._key: Final = key
        self._private: Final = key.load()
        self._settings: Final = settings or TokenSettings()
        self._clock: Final = clock
        self._monotonic: Final = monotonic
        self._random: Final = random
        self._token = ""
        self._made_at_s = 0.0
        self._made_monotonic_s = 0.0
        self._lasts_s = 0.0

    def __repr__(self) -> str:
        return f"ProviderToken({self._key.team}, {self._key.key_id}, age_s={self.age_s:.0f})"

    @property
    def age_s(self) -> float:
        """By the clock that has seen more of it: the monotonic one stands still while a machine sleeps, and the other
        one may be set back.
        """
        if not self._token:
            return 0.0
        return max(self._clock() - self._made_at_s, self._monotonic() - self._made_monotonic_s)

    @property
    def renewable_in_s(self) -> float:
        """Until a new one may be made."""
        return max(self._settings.min_age_s - self.age_s, 0.0) if self._token else 0.0

    def current(self) -> str:
        """A token to send with: the present one, or its successor when it is due."""
        if not self._token or self.age_s >= self._lasts_s:
            self._make()
        return self._token

    def after(self, refused: str) -> str | None:
        """What to send with after `refused` was said to have expired: the one that has replaced it, or a new one; None
        when it is too young for that, and the fault must be elsewhere.
        """
        if self._token and self._token != refused:
            return self.current()
        if self.renewable_in_s > 0:
            return None
        self._make()
        return self._token

    def _make(self) -> None:
        settings = self._settings
        self._made_at_s, self._made_monotonic_s = self._clock(), self._monotonic()
        span_s = settings.refresh_before_s - settings.refresh_after_s
        self._lasts_s = max(settings.refresh_after_s + self._random() * span_s, settings.min_age_s)
        self._token = jwt.encode(
            {"iss": self._key.team, "iat": int(self._made_at_s)},
            self._private,
            algorithm="ES256",
            headers={"kid": self._key.key_id},
        )
