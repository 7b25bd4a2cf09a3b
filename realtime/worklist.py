"""A set of things that need attention, and a task that waits for them."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Worklist(Generic[T]):
    """Collects distinct items in order until its one consumer takes them all.

    Bound: the number of distinct items, since putting one twice keeps one. `take` is safe to cancel: nothing is lost.
    """

    __slots__ = ("_event", "_items")

    def __init__(self) -> None:
        self._items: dict[T, None] = {}
        self._event = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        self._items[item] = None
        self._event.set()

    async def take(self) -> list[T]:
        """Wait until there is something, then take everything."""
        await self._event.wait()
        self._event.clear()
        items, self._items = list(self._items), {}
        return items
