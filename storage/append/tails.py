"""How far each conversation's log is known to be committed."""

from collections import OrderedDict
from typing import Final

from storage.model import Position

TAIL_AGE_S: Final = 600.0
"""A position is forgotten at this age. Retention removes nothing that is not much older than that: a place below what
was removed would be free again, and the log would not say that it is not its end.
"""


class Tails:
    """The latest known positions of the `limit` conversations used last. To learn a forgotten one costs a read."""

    __slots__ = ("_limit", "_positions", "_stale", "_stale_at")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._positions: OrderedDict[str, Position] = OrderedDict()
        # Of two halves of TAIL_AGE_S the older one: those of this set that are not learned again in the present half.
        self._stale: set[str] = set()
        self._stale_at: float | None = None

    def age(self, now: float) -> None:
        """Forget what was learned TAIL_AGE_S ago. To be called before what is known is acted on; costs nothing as a
        rule.
        """
        if self._stale_at is not None:
            if now < self._stale_at:
                return
            if now < self._stale_at + TAIL_AGE_S / 2:
                for conversation in self._stale:
                    self._positions.pop(conversation, None)
            else:
                self._positions.clear()
        self._stale = set(self._positions)
        self._stale_at = now + TAIL_AGE_S / 2

    def __len__(self) -> int:
        return len(self._positions)

    def get(self, conversation: str) -> Position | None:
        """What is known of the conversation; counts as a use."""
        position = self._positions.get(conversation)
        if position is not None:
            self._positions.move_to_end(conversation)
        return position

    def advance(self, conversation: str, position: Position) -> None:
        """Remember the position unless a later one is known."""
        known = self._positions.get(conversation)
        if known is None or known.offset <= position.offset:
            self._positions[conversation] = position
            self._stale.discard(conversation)
        self._positions.move_to_end(conversation)
        if len(self._positions) > self._limit:
            self._stale.discard(self._positions.popitem(last=False)[0])
