"""A place in a conversation's log."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """`offset` of an entry and `n`, the count of main-timeline messages up to and including it.

    Ordered by offset. `n` never falls as `offset` grows, so unread = `head.n - read.n`.
    """

    offset: int
    n: int


ORIGIN: Final = Position(0, 0)
"""Before the first entry: the head of an empty log, the read position of somebody who read nothing."""
