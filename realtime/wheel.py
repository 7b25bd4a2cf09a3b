"""A timer wheel: one clock for the deadlines of all connections instead of a timer each."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """What a wheel can hold. `wheel_tick` is the wheel's own note, 0 at first: when the item is handed out next."""

    wheel_tick: int


T = TypeVar("T", bound=Timed)


class Wheel(Generic[T]):
    """Holds items until they are due, with a resolution of `resolution_s` seconds.

    An item is handed out once for all it was scheduled for until then, at the earliest of these: whoever takes it looks
    at the item's own deadlines and schedules it again. That makes moving a deadline forward free, which is the common
    case (every pong moves one).

    Bounds: an item further away than `slots * resolution_s` is parked in the last slot and handed out early. One that
    is moved to an earlier time leaves a dead reference where it was before, until its time.
    """

    __slots__ = ("_next_tick", "_resolution_s", "_slots")

    def __init__(self, *, now: float, resolution_s: float = 0.5, slots: int = 256) -> None:
        self._resolution_s = resolution_s
        self._slots: list[list[T]] = [[] for _ in range(slots)]
        self._next_tick = int(now / resolution_s) + 1

    def __len__(self) -> int:
        """How many references the wheel holds, dead ones included."""
        return sum(map(len, self._slots))

    def schedule(self, item: T, due_at_s: float) -> None:
        """Hand `item` out on the first `advance` at or after `due_at_s` (monotonic seconds), at most one resolution
        late.
        """
        tick = int(due_at_s / self._resolution_s) + 1
        tick = min(max(tick, self._next_tick), self._next_tick + len(self._slots) - 1)
        if self._next_tick <= item.wheel_tick <= tick:
            return
        item.wheel_tick = tick
        self._slots[tick % len(self._slots)].append(item)

    def advance(self, now: float) -> Iterator[T]:
        """Take out every item that has become due. Items may be scheduled again while iterating."""
        upto = int(now / self._resolution_s)
        while self._next_tick <= upto:
            tick = self._next_tick
            index = tick % len(self._slots)
            self._next_tick += 1
            items, self._slots[index] = self._slots[index], []
            for item in items:
                if item.wheel_tick == tick:
                    item.wheel_tick = 0
                    yield item
