"""A timer wheel: one clock for the deadlines of all connections instead of a timer each."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Holds items until they are due, with a resolution of `resolution_s` seconds.

    An item may be in the wheel several times: whoever takes it out looks at the item's own deadline and puts it back
    when it is not due yet. That makes moving a deadline forward free, which is the common case (every pong moves one).

    Bounds: an item further away than `slots * resolution_s` is parked in the last slot and seen early.
    """

    __slots__ = ("_count", "_next_tick", "_resolution_s", "_slots")

    def __init__(self, *, now: float, resolution_s: float = 0.5, slots: int = 256) -> None:
        self._resolution_s = resolution_s
        self._slots: list[list[T]] = [[] for _ in range(slots)]
        self._next_tick = int(now / resolution_s) + 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def schedule(self, item: T, due_at_s: float) -> None:
        """Hand `item` out on the first `advance` at or after `due_at_s` (monotonic seconds), at most one resolution
        late.
        """
        tick = int(due_at_s / self._resolution_s) + 1
        tick = min(max(tick, self._next_tick), self._next_tick + len(self._slots) - 1)
        self._slots[tick % len(self._slots)].append(item)
        self._count += 1

    def advance(self, now: float) -> Iterator[T]:
        """Take out every item that has become due. Items may be scheduled again while iterating."""
        upto = int(now / self._resolution_s)
        while self._next_tick <= upto:
            index = self._next_tick % len(self._slots)
            self._next_tick += 1
            items, self._slots[index] = self._slots[index], []
            self._count -= len(items)
            yield from items
