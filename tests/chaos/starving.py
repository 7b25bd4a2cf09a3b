"""How long processes waited for a processor: what the machine does to the hubs is not their doing. Pure."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from chaos.history import Waited

HARNESS: Final = "harness"


@dataclass(slots=True)
class _Line:
    """Times, and what had been waited until then in all. A process that starts again begins at nothing."""

    times: list[int] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    last_s: float = 0.0

    def add(self, t: int, waited_s: float) -> None:
        gained_s = waited_s - self.last_s if waited_s >= self.last_s else waited_s
        first = not self.times
        self.last_s = waited_s
        self.times.append(t)
        self.totals.append(0.0 if first else self.totals[-1] + gained_s)

    def between(self, begin: int, end: int) -> float:
        """From the last look before to the first one after."""
        if not self.times:
            return 0.0
        since = self.totals[max(0, bisect_right(self.times, begin) - 1)]
        until = self.totals[min(len(self.totals) - 1, bisect_left(self.times, end))]
        return max(0.0, until - since)


@dataclass(slots=True)
class Starving:
    _lines: dict[str, _Line] = field(default_factory=lambda: defaultdict(_Line))

    def add(self, event: Waited) -> None:
        self._lines[event.name].add(event.t, event.waited_s)

    def between(self, begin: int, end: int, *hubs: str) -> float:
        """What an answer of these hubs (none: of whichever) may have been late by: its hub waited, the harness that
        asked and carried it did, and so did the slowest of the databases.
        """
        waited = {name: line.between(begin, end) for name, line in self._lines.items()}
        databases = max((one for name, one in waited.items() if name.startswith("mongod")), default=0.0)
        some = [one for name, one in waited.items() if name.startswith("h") and name != HARNESS]
        asked = [waited.get(name, 0.0) for name in hubs] or some
        return waited.get(HARNESS, 0.0) + databases + max(asked, default=0.0)
