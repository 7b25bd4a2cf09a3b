"""How much of one thing the log says: what strangers can cause at will must not fill a disk. Pure but for the clock."""

from collections.abc import Callable
from typing import Final

from structlog import DropEvent
from structlog.typing import EventDict, WrappedLogger

MAX_EVENTS: Final = 1000
"""Names of events that are counted apart. They are words of ours, so there are fewer; beyond it all share one."""


class Flood:
    """A structlog processor: of each event `burst` lines at once and then `per_s` a second.

    The next line that is let through says how many were left out before it (`left_out`). Errors are not counted: they
    are faults of ours, and each has its traceback.
    """

    def __init__(self, *, burst: int, per_s: float, monotonic: Callable[[], float]) -> None:
        self._burst: Final = float(burst)
        self._per_s: Final = per_s
        self._monotonic: Final = monotonic
        self._buckets: Final[dict[str, _Bucket]] = {}

    def __call__(self, _: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Raises DropEvent for a line too many."""
        if method in ("error", "exception", "critical"):
            return event
        name = str(event.get("event", ""))
        now = self._monotonic()
        if name not in self._buckets and len(self._buckets) >= MAX_EVENTS:
            name = ""
        bucket = self._buckets.setdefault(name, _Bucket(self._burst, now))
        bucket.lines = min(self._burst, bucket.lines + (now - bucket.at) * self._per_s)
        bucket.at = now
        if bucket.lines < 1.0:
            bucket.left_out += 1
            raise DropEvent
        bucket.lines -= 1.0
        if bucket.left_out:
            event["left_out"] = bucket.left_out
            bucket.left_out = 0
        return event


class _Bucket:
    __slots__ = ("at", "left_out", "lines")

    def __init__(self, lines: float, at: float) -> None:
        self.lines = lines
        self.at = at
        self.left_out = 0
