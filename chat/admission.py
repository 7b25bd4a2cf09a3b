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

SLOW_CONNECT_S: Final = 1.0
"""A connect that takes longer says that more are being let in than can be served. SDKs give up after five seconds, and
what was done for them is lost then.
"""

FEWEST_CONNECTING: Final = 16

MIN_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """See `chat.config.admission`. 0 for `upgrades_per_s` and `memory_bytes`: no limit."""

    upgrades_per_s: float = 500.0
    burst: int = 100
    connecting: int = 200
    lag_s: float = 0.2
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """`retry_after_s` is whole seconds, for a header."""

    reason: Reason
    retry_after_s: int


class Admission:
    """A token bucket that may be overdrawn by `MAX_WAIT_S`, filled at a rate that falls while the event loop or the
    connects are late.

    `random` gives numbers from 0 to 1. Times are seconds on one monotonic clock.
    """

    def __init__(self, settings: AdmissionSettings, *, now: float, random: Callable[[], float]) -> None:
        self._settings = settings
        self._random = random
        self._tokens = float(settings.burst)
        self._share = 1.0
        self._refused = 0.0
        self._slow: Reason = "loop_lag"
        self._at = now

    @property
    def rate(self) -> float:
        """Newcomers a second, at present."""
        return self._settings.upgrades_per_s * self._share

    @property
    def most_connecting(self) -> int:
        """Connects that may be answered at the same time, at present."""
        return min(self._settings.connecting, max(FEWEST_CONNECTING, int(self._settings.connecting * self._share)))

    def lagged(self, lag_s: float, now: float, *, connect_s: float = 0.0) -> None:
        """The event loop was so late just now, and the oldest connect in progress is so old. To be told about ten times
        a second.
        """
        self._pass(now)
        if lag_s > self._settings.lag_s or connect_s > SLOW_CONNECT_S:
            self._slow = "loop_lag" if lag_s > self._settings.lag_s else "connecting"
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
            return self._refuse(self._slow if self._share < 1.0 else "upgrade_rate")
        self._tokens -= 1.0
        return wait_s

    def still_refused(self, *, connecting: int, memory_bytes: int = 0) -> Refused | None:
        """What may have changed while one waited."""
        settings = self._settings
        if settings.memory_bytes and memory_bytes > settings.memory_bytes:
            return self._refuse("memory")
        if connecting >= self.most_connecting:
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
