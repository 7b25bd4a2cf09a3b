"""The replica set of log_model.py: an oplog, of which only what is on a majority survives a failover."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from storage.append.work import Found, Identity, InsertOutcome, Run
from storage.model import Entry, Position


class Fault(Enum):
    """Rules that a test breaks on purpose."""

    NO_KEY_INDEX = auto()
    """Nothing refuses a second entry of one identity."""
    UNORDERED_RUNS = auto()
    """A run goes on after one of its entries failed."""
    LOCAL_READS = auto()
    """Reads see what is not on a majority yet."""
    GUESSED_OUTCOMES = auto()
    """A command whose outcome was lost is taken for committed."""
    EARLY_NEWS = auto()
    """Others are told of entries before these are on a majority."""


class Broken(AssertionError):
    """A promise of the log does not hold."""


@dataclass(frozen=True, slots=True)
class Write:
    """One operation of the oplog."""

    place: tuple[str, int]
    identity: Identity
    entry: Entry


class Server:
    """The replica set: an oplog, of which a prefix is on a majority."""

    def __init__(self, faults: frozenset[Fault]) -> None:
        self.faults = faults
        self.oplog: list[Write] = []
        self.majority = 0
        self.heads: dict[str, Position] = {}

    def insert(self, runs: Sequence[Run], *, ordered: bool, crash_after: int | None) -> list[InsertOutcome]:
        """Execute an insert command, or only its first documents."""
        places = {write.place for write in self.oplog}
        identities = {write.identity for write in self.oplog}
        outcomes: list[InsertOutcome] = []
        stopped = False
        stops = ordered and Fault.UNORDERED_RUNS not in self.faults
        documents = [(item, entry) for run in runs for item, entry in zip(run.items, run.entries, strict=True)]
        for index, (item, entry) in enumerate(documents):
            place = (entry.conversation, entry.offset)
            if stopped or (crash_after is not None and index >= crash_after):
                outcomes.append(InsertOutcome.NOT_TRIED)
            elif place in places:
                outcomes.append(InsertOutcome.TAKEN)
            elif item.identity in identities and Fault.NO_KEY_INDEX not in self.faults:
                outcomes.append(InsertOutcome.REPEATED)
            else:
                self.oplog.append(Write(place, item.identity, entry))
                places.add(place)
                identities.add(item.identity)
                outcomes.append(InsertOutcome.INSERTED)
            stopped = stopped or (stops and outcomes[-1] is not InsertOutcome.INSERTED)
        return outcomes

    def committed(self) -> list[Write]:
        """What a majority read sees."""
        return self.oplog if Fault.LOCAL_READS in self.faults else self.oplog[: self.majority]

    def after(self, conversation: str, offset: int) -> list[Found]:
        """Committed entries after the offset, ascending."""
        found = [
            Found(write.entry, write.identity[2])
            for write in self.committed()
            if write.place[0] == conversation and write.place[1] > offset
        ]
        return sorted(found, key=lambda one: one.entry.offset)

    def fail_over(self) -> None:
        """What is not on a majority is rolled back."""
        del self.oplog[self.majority :]
