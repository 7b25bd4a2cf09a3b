"""A place in a conversation's log."""

from typing import Final

from msgspec import Struct


class Position(Struct, frozen=True, order=True, gc=False):
    """`offset` of an entry and `n`, the count of main-timeline messages up to and including it.

    Ordered by offset. `n` never falls as `offset` grows, so unread = `head.n - read.n`.
    """

    offset: int
    n: int


ORIGIN: Final = Position(0, 0)
"""Before the first entry: the head of an empty log, the read position of somebody who read nothing."""
