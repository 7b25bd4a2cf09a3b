"""Who is let in while a process is busy. Pure: no clock, no randomness of its own.

What is connected comes first: newcomers cost the most (a handshake, a token, two queries, what they missed), and they
come all at once after a restart. So they are taken at a rate that falls while the event loop is late. Who is refused
is told a time to come again that is true: behind those who were refused before.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Reason: TypeAlias = Literal["connecting", "loop_lag", "memory", "upgrade_rate"]

MAX_WAIT_S: Final = 2.0
"""How long a newcomer is kept waiting before the upgrade rather than refused: SDKs and proxies wait that long."""

SLOWER: Final = 0.67
FASTER: Final = 0.05
LEAST_SHARE: Final = 0.02
"""Of the configured rate. It never becomes zero: a process that takes nobody could not be told from a dead one."""

MIN_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """See `chat.config.admission`. 0 for `upgrades_per_s` and `memory_bytes`: no limit."""

    upgrades_per_s: float = 500.0
    burst: int = 250
    connecting: int = 500
    lag_s: float = 0.2
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """`retry_after_s` is whole seconds, for a header."""

    reason: Reason
    retry_after_s: int


class Admission:
    """A token bucket that may be overdrawn by `MAX_WAIT_S`, filled at a rate that follows the event loop's lag.

    `random` gives numbers from 0 to 1. Times are seconds on one monotonic clock.
    """

    def __init__(self, settings: AdmissionSettings, *, now: float, random: Callable[[], float]) -> None:
        self._settings = settings
        self._random = random
        self._tokens = float(settings.burst)
        self._share = 1.0
        self._refused = 0.0
        self._at = now

    @property
    def rate(self) -> float:
        """Newcomers a second, at present."""
        return self._settings.upgrades_per_s * self._share

    def lagged(self, lag_s: float, now: float) -> None:
        """The event loop was so late just now. To be told about ten times a second."""
        self._pass(now)
        if lag_s > self._settings.lag_s:
            self._share = max(LEAST_SHARE, self._share * SLOWER)
        else:
            self._share = min(1.0, self._share + FASTER)

    def ask(self, now: float, *, connecting: int, memory_bytes: int = 0) -> float | Refused:
        """May another one come in? How many seconds it is to wait before, or that it may not.

        `connecting`: connects being answered; `memory_bytes`: what the process uses.
        """
        self._pass(now)
        refused = self.still_refused(connecting=connecting, memory_bytes=memory_bytes)
        if refused is not None or not self._settings.upgrades_per_s:
            return refused or 0.0
        wait_s = max(0.0, 1.0 - self._tokens) / self.rate
        if wait_s > MAX_WAIT_S:
            return self._refuse("loop_lag" if self._share < 1.0 else "upgrade_rate")
        self._tokens -= 1.0
        return wait_s

    def still_refused(self, *, connecting: int, memory_bytes: int = 0) -> Refused | None:
        """What may have changed while one waited."""
        settings = self._settings
        if settings.memory_bytes and memory_bytes > settings.memory_bytes:
            return self._refuse("memory")
        if connecting >= settings.connecting:
            return self._refuse("connecting")
        return None

    def _refuse(self, reason: Reason) -> Refused:
        """Later than those who were refused before, as if they stood in a queue; and not all in the same second."""
        self._refused += 1.0
        queue_s = self._refused / self.rate if self.rate else 0.0
        wait_s = min(MAX_RETRY_S, max(MIN_RETRY_S, queue_s))
        return Refused(reason, math.ceil(wait_s + self._random() * max(1.0, wait_s / 2)))

    def _pass(self, now: float) -> None:
        passed = max(0.0, now - self._at) * self.rate
        self._at = max(self._at, now)
        self._tokens = min(float(self._settings.burst), self._tokens + passed)
        self._refused = max(0.0, self._refused - passed)
