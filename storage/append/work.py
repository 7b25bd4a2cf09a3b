"""What the machine in lanes.py is given and what it asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol, TypeAlias

from storage.model import Appended, AppendOutcome, Entry, NewEntry, Position

Identity: TypeAlias = tuple[str, str, str | bytes]
"""(conversation, sender, key): two entries with the same identity cannot be in the log."""


@dataclass(slots=True, eq=False)
class Pending:
    """An entry on its way into the log, and who waits for it.

    `payload` is the writer's business. `alone`: it changes other rows in the same transaction, so it shares its command
    with no other entry. `deadline` is on the machine's monotonic clock. `check` is asked right before each attempt,
    when everything below the entry's place was examined. `unknown` is set once the outcome of an attempt was lost.
    """

    new: NewEntry
    identity: Identity
    size_bytes: int
    deadline: float
    payload: object
    waiters: list[Callable[[AppendOutcome], None]]
    check: Callable[[], bool] | None = None
    alone: bool = False
    unknown: bool = field(default=False, init=False)
    settled: bool = field(default=False, init=False)

    @property
    def sender(self) -> tuple[str, str]:
        """Whose entries keep their order: a sender's within one conversation."""
        return self.new.conversation, self.new.by

    @property
    def decided(self) -> bool:
        """A message that somebody was found to be allowed to send: their check may fail."""
        return self.check is not None and self.new.kind.counts

    def permitted(self) -> bool:
        """Whether the caller's check still says yes."""
        return self.check is None or self.check()


class InsertOutcome(Enum):
    """What became of one document of an insert command."""

    INSERTED = auto()
    """Committed on a majority."""
    TAKEN = auto()
    """Another entry has this offset."""
    REPEATED = auto()
    """An entry with this identity is in the log, at another offset."""
    NOT_TRIED = auto()
    """An earlier document of an ordered command failed."""
    UNKNOWN = auto()
    """It may be there, come to be there, or not."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive entries of one conversation, right after `base`."""

    conversation: str
    base: Position
    items: tuple[Pending, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Insert:
    """One insert command: either one run, ordered, or one entry each of many conversations, unordered."""

    runs: tuple[Run, ...]
    ordered: bool


@dataclass(frozen=True, slots=True)
class Transact:
    """One entry (the run's only one) and the changes that commit with it."""

    run: Run

    @property
    def item(self) -> Pending:
        """The entry's owner."""
        return self.run.items[0]


@dataclass(frozen=True, slots=True)
class ReadHeads:
    """Find a position of each conversation that is known to be committed, the nearer to the tail the better."""

    conversations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Read what is committed after an offset, a bounded page, and whether it reached the end."""

    conversation: str
    after: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """Find the committed entry that has the identity of this one."""

    item: Pending


Work: TypeAlias = Insert | Transact | ReadHeads | CatchUp | Lookup


@dataclass(frozen=True, slots=True)
class Found:
    """An entry read from the log, with what tells its key from others."""

    entry: Entry
    key: str | bytes

    @property
    def identity(self) -> Identity:
        """What makes it the same entry as a pending one."""
        return self.entry.conversation, self.entry.by, self.key


class Observer(Protocol):
    """Is told of everything in the log that this process comes to know, in the order of each conversation's log."""

    def committed(self, run: Sequence[Appended]) -> None:
        """Entries that this process was asked to append, of one conversation, ascending. In the same turn of the event
        loop their waiters are answered.
        """

    def examined(self, conversation: str, entries: Sequence[Entry]) -> None:
        """Entries that others appended, ascending."""

    def skipped(self, conversation: str, upto: int) -> None:
        """The log is known to reach `upto`, and entries below it were not read."""
