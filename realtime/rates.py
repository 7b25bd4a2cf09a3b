"""How often something may happen: token buckets. Pure: no clock, no tables, no dependencies.

A bucket is one number, the time at which it will be full again; every token taken moves that time away by the time in
which one is refilled. So a bucket costs a float, and nothing has to run for it to refill.
"""

import math
from dataclasses import dataclass
from typing import Final

from realtime.protocol import codes
from realtime.protocol.codes import ClientError

_SLACK_S: Final = 1e-6
"""Sums of floats: who waits as long as they were told must not be told to wait for another nanosecond."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` tokens at once, then `per_s` tokens a second. Both above zero.

    `name` is what is counted and for whom, as error texts and headers have it ("commands", "of one connection").
    """

    per_s: float
    burst: int
    what: str = "requests"
    whose: str = ""
    interval_s: float = 0.0
    """Time in which one token is refilled. Derived."""
    full_s: float = 0.0
    """Time in which an empty bucket fills. Derived."""

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError("a rate needs at least one token, and time in which it comes back")
        object.__setattr__(self, "interval_s", 1.0 / self.per_s)
        object.__setattr__(self, "full_s", self.burst / self.per_s)

    def refusal(self, wait_s: float) -> ClientError:
        """Error 111 that tells the limit and when to try again."""
        wait_ms = max(1, math.ceil(wait_s * 1000))
        whose = f" {self.whose}" if self.whose else ""
        detail = f"{self.told()}{whose}, {self.burst} at once; retry_after_ms={wait_ms}"
        return ClientError(codes.TOO_MANY_REQUESTS, detail, retry_after_ms=wait_ms)

    def told(self) -> str:
        """`20 messages a second`, or `10 failed sign-ins a minute` where a second has less than one."""
        if self.per_s >= 1:
            return f"{self.per_s:g} {self.what} a second"
        return f"{self.per_s * 60:g} {self.what} a minute"


class Bucket:
    """Begins full. `now` is seconds on one clock that never goes back."""

    __slots__ = ("full_at",)

    def __init__(self) -> None:
        self.full_at = 0.0

    def take(self, rate: Rate, now: float) -> float:
        """Take a token: 0. Where there is none, nothing is taken: in how many seconds there will be one."""
        full_at = self.full_at
        full_at = (max(now, full_at)) + rate.interval_s
        wait_s = full_at - now - rate.full_s
        if wait_s > _SLACK_S:
            return wait_s
        self.full_at = full_at
        return 0.0

    def wait_s(self, rate: Rate, now: float) -> float:
        """In how many seconds there will be a token; 0: there is one."""
        wait_s = max(self.full_at - now, 0.0) + rate.interval_s - rate.full_s
        return wait_s if wait_s > _SLACK_S else 0.0

    def left(self, rate: Rate, now: float) -> int:
        """Tokens that may be taken now."""
        missing_s = max(self.full_at - now, 0.0)
        return max(0, math.floor((rate.full_s - missing_s + _SLACK_S) * rate.per_s))

    def level_s(self, now: float) -> float:
        """In how many seconds it will be full."""
        return max(self.full_at - now, 0.0)

    def raise_to(self, level_s: float, now: float) -> None:
        """Others took from it as well: it will not be full before `level_s` have passed. Never fills it."""
        self.full_at = max(self.full_at, now + level_s)


@dataclass(frozen=True, slots=True)
class ConnectionRates:
    """What one connection may do; None: without limit.

    `commands` beyond their rate are refused. Who is refused for a rate more often than `refusals`, or for the content
    of commands more often than `errors`, is closed.
    """

    commands: Rate | None = None
    refusals: Rate | None = None
    errors: Rate | None = None


class Meter:
    """The buckets of one connection. Of full buckets nothing is kept but a shared zero."""

    __slots__ = ("_commands", "_errors", "_rates", "_refusals")

    def __init__(self, rates: ConnectionRates) -> None:
        self._rates = rates
        self._commands = Bucket()
        self._refusals: Bucket | None = None
        self._errors: Bucket | None = None

    def command(self, now: float) -> float:
        """Count a command. 0, or how many seconds it has to wait."""
        rate = self._rates.commands
        return 0.0 if rate is None else self._commands.take(rate, now)

    def refused(self, now: float) -> bool:
        """Count a refusal for a rate. Whether that is enough of them."""
        rate = self._rates.refusals
        if rate is None:
            return False
        self._refusals = self._refusals or Bucket()
        return self._refusals.take(rate, now) > 0

    def failed(self, now: float) -> bool:
        """Count a refusal for the content of a command. Whether that is enough of them."""
        rate = self._rates.errors
        if rate is None:
            return False
        self._errors = self._errors or Bucket()
        return self._errors.take(rate, now) > 0
