"""When to leave a lane alone, and when to disbelieve that so many devices are gone. Pure: no clock, no I/O.

Times are integer milliseconds. Each worker has its own breakers: what one has learnt another finds out by itself, with
a few pushes. Only the time that a provider asks for is told to the others (`storage.mongo.push_pauses`).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """A lane pauses after `failures` in a row for `pause_ms`, doubled each time up to `longest_ms`; where credentials
    are at fault at once, for `credentials_ms`, likewise.

    Of the last `window` answers about devices, more than `gone` and more than the share `gone_share` may not say that
    there is no such device: who then still believed it would lose everybody.
    """

    failures: int = 8
    pause_ms: int = 2_000
    longest_ms: int = 300_000
    credentials_ms: int = 60_000
    window: int = 200
    gone: int = 20
    gone_share: float = 0.25
    suspicion_ms: int = 900_000


class LaneState(StrEnum):
    """`open`: nothing is sent. `probing`: one push finds out whether it goes again."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


DEFAULT_SETTINGS: Final = BreakerSettings()


class LaneBreaker:
    """Of one lane. Ask `room` before a claim, tell it every answer afterwards."""

    def __init__(self, random: Callable[[], float], settings: BreakerSettings = DEFAULT_SETTINGS) -> None:
        self._random = random
        self._settings = settings
        self._failures = 0
        self._pauses = 0
        self._until: int | None = None
        self._asked_until = 0
        self.reason = ""
        """Why it was left alone last."""

    def state(self, now: int) -> LaneState:
        if now < max(self._asked_until, self._until or 0):
            return LaneState.OPEN
        return LaneState.CLOSED if self._until is None else LaneState.PROBING

    def room(self, now: int, running: int, limit: int) -> int:
        """How many more pushes may begin, where so many run and `limit` may."""
        state = self.state(now)
        if state is LaneState.OPEN:
            return 0
        return max(0, (1 if state is LaneState.PROBING else limit) - running)

    def opens_at(self, now: int) -> int:
        """When the lane can be used again; `now` if it can."""
        return max(now, self._asked_until, self._until or 0)

    def succeeded(self) -> None:
        """The provider has taken something: whatever was wrong is not any more. Time that it has asked for it gets."""
        self._failures = self._pauses = 0
        self._until = None

    def reset(self) -> None:
        """Somebody has looked at it."""
        self.succeeded()
        self._asked_until = 0

    def answered(self) -> None:
        """The provider has spoken about a device or a message: it is there."""
        self._failures = 0
        if self._until is not None:
            self.succeeded()

    def failed(self, now: int, reason: str) -> None:
        """No answer. One proves nothing, and neither do those that were under way when the lane was left alone."""
        if self.state(now) is LaneState.OPEN:
            return
        self._failures += 1
        if self._until is not None or self._failures >= self._settings.failures:
            self._pause(now, self._settings.pause_ms, reason)

    def asked_for_time(self, now: int, reason: str, after_ms: int | None) -> None:
        """The provider wants to be left alone, for so long if it says so."""
        if after_ms is None:
            if self.state(now) is not LaneState.OPEN:
                self._pause(now, self._settings.pause_ms, reason)
            return
        self._asked_until = max(self._asked_until, now + after_ms)
        self._until = max(self._until or 0, self._asked_until)
        self.reason = reason

    def refused(self, now: int, reason: str) -> None:
        """Credentials are at fault: it will not pass until somebody mends them, which is asked seldom."""
        if self.state(now) is not LaneState.OPEN:
            self._pause(now, self._settings.credentials_ms, reason)

    def hold(self, now: int, reason: str, for_ms: int) -> None:
        """Leave the lane alone, whatever the provider says."""
        self._until = max(self._until or 0, now + for_ms)
        self.reason = reason

    def _pause(self, now: int, first_ms: int, reason: str) -> None:
        step = min(first_ms << min(self._pauses, 16), self._settings.longest_ms)
        self._pauses += 1
        self._failures = 0
        # Half of it at least: others fail at the same moment, and must not all come back at another one.
        self._until = now + step // 2 + int(step / 2 * self._random())
        self.reason = reason


class DeletionBreaker:
    """Of one lane: whether to believe that a device is gone. Keep what is told of every device's answer in it."""

    def __init__(self, settings: BreakerSettings = DEFAULT_SETTINGS) -> None:
        self._settings = settings
        self._answers: deque[bool] = deque(maxlen=settings.window)
        self._gone = 0
        self._tripped_at: int | None = None
        self._first_at: int | None = None

    @property
    def tripped(self) -> bool:
        """Nobody is tombstoned until `reset`, or until most devices are there again."""
        return self._tripped_at is not None

    @property
    def suspect_since(self) -> int | None:
        """From when on tombstones may be wrong, and should be undone: the first of those in the window."""
        return self._first_at if self.tripped else None

    def there(self) -> None:
        """A device was reached."""
        self._add(gone=False)
        if self.tripped and not self._too_many():
            self.reset()

    def gone(self, now: int) -> bool:
        """A device is said to be gone. True: believe it. False: leave it, and hold the lane."""
        if self._gone == 0:
            self._first_at = now
        self._add(gone=True)
        if not self.tripped and self._too_many():
            self._tripped_at = now
        return not self.tripped

    def reset(self) -> None:
        """Somebody has looked at it."""
        self._answers.clear()
        self._gone = 0
        self._tripped_at = self._first_at = None

    def _add(self, *, gone: bool) -> None:
        if len(self._answers) == self._settings.window:
            self._gone -= self._answers[0]
        self._answers.append(gone)
        self._gone += gone

    def _too_many(self) -> bool:
        return self._gone > self._settings.gone and self._gone > self._settings.gone_share * len(self._answers)
