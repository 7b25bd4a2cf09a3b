"""What the checker says of a run: counts, and each way in which an invariant was broken. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

INVARIANTS: Final = {
    "I1": "what was acknowledged is in the log, and every device that is up to date has it",
    "I2": "one message per sender, conversation and key; a device shows it once",
    "I3": "one order without holes, in the log and on every device; what was acknowledged before comes before",
    "I4": "nothing is told that was never sent, was refused, or is not in the log in the end",
    "I5": "live, resume, pages and acknowledgements agree on what is at an offset",
    "I6": "nobody is told what happens in a conversation that they are not in",
    "I7": "every send is answered in time",
    "I8": "everything is as before soon after the fault ends",
}

MOST_TOLD: Final = 12
"""Violations of one kind that are kept; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: str
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.what}: {self.detail}"


@dataclass(slots=True)
class Counts:
    """Sends by key, whatever number of attempts; `delivered` are publications and what was paged in their place."""

    attempted: int = 0
    attempts: int = 0
    acked: int = 0
    refused: int = 0
    unknown: int = 0
    recovered: int = 0
    """Unknown ones that are in the log."""
    lost: int = 0
    """Acknowledged and not in the log, or never on a device that was up to date."""
    duplicated: int = 0
    out_of_order: int = 0
    ghosts: int = 0
    disagreements: int = 0
    leaks: int = 0
    late_removals: int = 0
    """Told to somebody who had just been removed, within the grace."""
    stuck: int = 0
    delivered: int = 0
    wire_duplicates: int = 0
    gaps: int = 0
    """Times that a device was told `recovered: false` and paged."""
    reconnects: int = 0
    heal_s: float | None = None
    ack_p50_ms: float = 0.0
    ack_p99_ms: float = 0.0


@dataclass(slots=True)
class Verdict:
    counts: Counts = field(default_factory=Counts)
    violations: list[Violation] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def holds(self) -> bool:
        return not self.kinds

    @property
    def broken(self) -> list[str]:
        """The invariants that do not hold."""
        return sorted({invariant for invariant, _ in self.kinds})

    def broke(self, invariant: str, what: str, detail: str) -> None:
        self.kinds[invariant, what] += 1
        if self.kinds[invariant, what] <= MOST_TOLD:
            self.violations.append(Violation(invariant, what, detail))
