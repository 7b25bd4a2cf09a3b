"""One conversation's queue of entries on their way into the log."""

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from storage.append.work import Pending
from storage.model import Position

FIRST_PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.128
READS_BEFORE_RETRY: Final = 3
"""How often to look for the entry that took a place, before asking for the place again."""


class Stage(Enum):
    """What a lane waits for."""

    IDLE = auto()
    """Nothing: it is empty."""
    COLD = auto()
    """No position of its log is known."""
    READY = auto()
    """Its turn."""
    BEHIND = auto()
    """What is after `examined` has to be read first."""
    PAUSED = auto()
    """Time."""
    TURN = auto()
    """The other processes that write to it: its turn among them, or news of who took its place."""
    BUSY = auto()
    """A command or a read that is under way."""


class Lane:
    """A conversation with something to do.

    `tail` is known to be committed on a majority. `examined` is the offset after which reading goes on, and `lost_race`
    says why: an entry of another process is known to be there (else a command was lost from sight). `ticket` is that of
    the time for which it waits.
    """

    __slots__ = ("conversation", "examined", "lost_race", "pauses", "stage", "tail", "ticket", "waiting")

    def __init__(self, conversation: str, tail: Position | None) -> None:
        self.conversation = conversation
        self.tail = tail
        self.waiting: deque[Pending] = deque()
        self.stage = Stage.IDLE
        self.examined = 0
        self.lost_race = False
        self.pauses = 0
        self.ticket: int | None = None

    def advance(self, position: Position) -> None:
        """The log is known to be committed up to `position`."""
        if self.tail is None or self.tail.offset < position.offset:
            self.tail = position

    @property
    def behind(self) -> bool:
        """It lost its place to an entry of which nothing is known yet."""
        return self.lost_race and (self.tail is None or self.tail.offset <= self.examined)

    def put_back(self, items: Sequence[Pending]) -> None:
        """Queue these in front again, in their order, but for those that were answered meanwhile."""
        self.waiting.extendleft(item for item in reversed(items) if not item.settled)

    def next_pause_s(self) -> float:
        """How long to wait before trying again: longer each time in a row."""
        pause: float = min(FIRST_PAUSE_S * 2**self.pauses, LONGEST_PAUSE_S)
        self.pauses += 1
        return pause
