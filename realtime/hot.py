"""Which channels are busiest lately, in bounded memory: space saving over exponentially decaying counts. Pure.

A channel that is not among the `capacity` counted ones takes the place of the least busy and inherits its count as
possible error, so that one with more than 1/capacity of the whole traffic is always found, however many others there
are. What is reported is the count less that error: never more than what really happened.

Decay runs forward: instead of shrinking every count each second, what is added later weighs more.
"""

import heapq
import math
from dataclasses import dataclass
from typing import Final

_FORGOTTEN_AFTER: Final = 64.0
"""Half-lives after which any count that fits an integer is below one; at half of it counts are rescaled."""


@dataclass(frozen=True, slots=True)
class HotChannel:
    """A busy channel. `per_s`: how much of it lately, per second, at least; `error_per_s`: how much more it may be."""

    channel: str
    per_s: float
    error_per_s: float


class HotChannels:
    """Adding costs a dict lookup; a channel that is new costs a step in a heap of `capacity`."""

    __slots__ = ("_capacity", "_counts", "_epoch", "_errors", "_half_life_s", "_heap", "_weight")

    def __init__(self, *, capacity: int = 256, half_life_s: float = 10.0, now: float) -> None:
        """`now` is monotonic time in seconds, as in `advance`."""
        if capacity < 1 or half_life_s <= 0:
            raise ValueError(f"capacity {capacity} and half_life_s {half_life_s} must be positive")
        self._capacity = capacity
        self._half_life_s = half_life_s
        self._epoch = now
        self._weight = 1.0
        self._counts: dict[str, float] = {}
        self._errors: dict[str, float] = {}
        # (count when pushed, channel), one each. Counts only grow, so an outdated item shows by its lower count.
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, channel: str, amount: float = 1.0) -> None:
        """Count `amount` (>= 0) for `channel`, as of the last `advance`."""
        counts = self._counts
        amount *= self._weight
        if channel in counts:
            counts[channel] += amount
            return
        error = 0.0
        if len(counts) >= self._capacity:
            error = self._evict()
        counts[channel] = error + amount
        self._errors[channel] = error
        heapq.heappush(self._heap, (error + amount, channel))

    def advance(self, now: float) -> None:
        """Let time pass: call it about once a second, and before `top`. Time that goes backwards is ignored."""
        half_lives = (now - self._epoch) / self._half_life_s
        if half_lives >= _FORGOTTEN_AFTER:
            self._clear(now)
            return
        self._weight = max(self._weight, 2.0**half_lives)
        if half_lives >= _FORGOTTEN_AFTER / 2:
            self._rescale(now)

    def top(self, limit: int) -> list[HotChannel]:
        """The busiest, busiest first; without those that may not have been busy at all."""
        per_s = math.log(2) / self._half_life_s / self._weight
        found = (
            HotChannel(key, (count - self._errors[key]) * per_s, self._errors[key] * per_s)
            for key, count in self._counts.items()
            if count > self._errors[key]
        )
        return heapq.nlargest(limit, found, key=lambda hot: hot.per_s)

    def _evict(self) -> float:
        """Drop the least counted channel; its count."""
        while True:
            pushed, key = self._heap[0]
            count = self._counts[key]
            if count == pushed:
                heapq.heappop(self._heap)
                del self._counts[key], self._errors[key]
                return count
            heapq.heapreplace(self._heap, (count, key))

    def _clear(self, now: float) -> None:
        self._counts.clear()
        self._errors.clear()
        self._heap.clear()
        self._epoch = now
        self._weight = 1.0

    def _rescale(self, now: float) -> None:
        scale = 1.0 / self._weight
        self._counts = {key: count * scale for key, count in self._counts.items()}
        self._errors = {key: error * scale for key, error in self._errors.items()}
        self._heap = [(count, key) for key, count in self._counts.items()]
        heapq.heapify(self._heap)
        self._epoch = now
        self._weight = 1.0
