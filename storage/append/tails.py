"""How far each conversation's log is known to be committed."""

from collections import OrderedDict

from storage.model import Position


class Tails:
    """The latest known positions of the `limit` conversations used last. To learn a forgotten one costs a read."""

    __slots__ = ("_limit", "_positions")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._positions: OrderedDict[str, Position] = OrderedDict()

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
        if known is None or known.offset < position.offset:
            self._positions[conversation] = position
        self._positions.move_to_end(conversation)
        if len(self._positions) > self._limit:
            self._positions.popitem(last=False)
