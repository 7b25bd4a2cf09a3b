"""The arithmetic of offsets: can a session go on from where it was, and is a publication the next one. Pure."""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct


class Position(Struct, frozen=True):
    """A place in a channel's stream: all up to and including `offset` (0: nothing yet) of this `epoch` is known."""

    epoch: str
    offset: int


class Fresh(Struct, frozen=True):
    """No position was given: the session starts at `head`."""

    head: int


class Recovered(Struct, frozen=True):
    """Continuity is kept: (`after`, `head`] is owed to the session, then live follows. The reply tells `after`."""

    after: int
    head: int


class Unrecoverable(Struct, frozen=True):
    """Continuity is lost: the session starts at `head` and is told so."""

    head: int


Decision: TypeAlias = Fresh | Recovered | Unrecoverable


def decide(asked: Position | None, *, epoch: str, head: int, oldest: int | None, max_entries: int) -> Decision:
    """Decide what a session that knows everything up to `asked` gets from a stream that has [`oldest`, `head`].

    `head` is the newest offset ever given out, `oldest` the oldest still readable (None: nothing is readable). An empty
    epoch in `asked` matches any. All or nothing: more than `max_entries` missing, or one of them gone, is
    `Unrecoverable`.
    """
    if asked is None:
        return Fresh(head)
    if asked.epoch and asked.epoch != epoch:
        return Unrecoverable(head)
    missing = head - asked.offset
    if missing < 0 or missing > max_entries or asked.offset < 0:
        return Unrecoverable(head)
    if missing > 0 and (oldest is None or oldest > asked.offset + 1):
        return Unrecoverable(head)
    return Recovered(asked.offset, head)


class Arrival(Enum):
    """What a publication is to a receiver that takes each offset once and in order."""

    DELIVER = "deliver"
    DUPLICATE = "duplicate"
    GAP = "gap"


DELIVER: Final = Arrival.DELIVER
DUPLICATE: Final = Arrival.DUPLICATE
GAP: Final = Arrival.GAP


class Cursor:
    """Where a receiver stands in a gap-free stream. `next` is the offset it waits for; it never goes back."""

    __slots__ = ("next",)

    def __init__(self, head: int) -> None:
        self.next = head + 1

    def advance(self, offset: int) -> Arrival:
        """Judge a publication by its offset (>= 1, as one without has no place). Only `DELIVER` moves `next`."""
        if offset == self.next:
            self.next = offset + 1
            return DELIVER
        return DUPLICATE if offset < self.next else GAP

    def skip_to(self, offset: int) -> None:
        """Count all up to and including `offset` as delivered, as after reading past entries that nobody may see."""
        self.next = max(self.next, offset + 1)
