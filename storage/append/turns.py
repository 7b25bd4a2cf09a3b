"""Whose turn it is to write to a conversation that several processes write to.

Whoever tries is safe, but of those who try at once all but one have worked for nothing. So they take turns, by what all
of them hear: each publication says which process wrote it. Those who wrote lately stand in a ring; after a process has
written, the next one in the ring goes at once, the one behind it after as long as a turn takes, and so on. While others
write, a process gathers, and writes it all when it is its turn.

A turn is a hint. Nobody asks for it, nobody is told, whoever is silent is passed over, and two that think it is theirs
race as before.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

MAX_RINGS: Final = 1000
"""Conversations whose writers are remembered. In a forgotten one they race once, and hear of each other again."""

FIRST_TURN_S: Final = 0.005
COMMITS_PER_TURN: Final = 3
"""A turn is a commit, and the others hear of it, each when it gets to it. With 2 one attempt in ten was lost."""

SHORTEST_TURN_S: Final = 0.001
LONGEST_TURN_S: Final = 0.1
RECENT_TURNS: Final = 4
"""Who wrote nothing for as long as so many rounds of the ring take is not waited for any more."""


@dataclass(slots=True)
class _Ring:
    """`at`: when `last` was heard to have written; `writers`: when each was, lately."""

    last: str
    at: float
    writers: dict[str, float] = field(default_factory=dict)


class Turns:
    """The rings of the conversations in which this process is not alone. `now` is a monotonic clock in seconds."""

    def __init__(self, own: str) -> None:
        """`own` is the name by which the others hear of this process: all rings have the same order."""
        self._own = own
        self._rings: OrderedDict[str, _Ring] = OrderedDict()
        self._turn_s = FIRST_TURN_S
        self._committed: list[str] = []

    @property
    def turn_s(self) -> float:
        """How long a turn takes: by what commits take here lately."""
        return self._turn_s

    def took(self, seconds: float) -> None:
        """A commit of this process took so long."""
        self._turn_s += (min(max(COMMITS_PER_TURN * seconds, SHORTEST_TURN_S), LONGEST_TURN_S) - self._turn_s) / 8

    def heard(self, conversation: str, by: str, now: float) -> None:
        """Another process has written to it."""
        ring = self._rings.get(conversation)
        if ring is None:
            ring = self._rings[conversation] = _Ring(by, now)
            if len(self._rings) > MAX_RINGS:
                self._rings.popitem(last=False)
        ring.last, ring.at = by, now
        ring.writers[by] = now

    def committed(self, conversation: str) -> None:
        """This process has written to it, at the time that `settle` is called with next."""
        if conversation in self._rings:
            self._committed.append(conversation)

    def settle(self, now: float) -> None:
        """Let it be `now` where this process has committed."""
        for conversation in self._committed:
            ring = self._rings.get(conversation)
            if ring is not None:
                ring.last, ring.at = self._own, now
        self._committed.clear()

    def shared(self, conversation: str) -> bool:
        """Whether others may be writing to it."""
        return conversation in self._rings

    def begins_at(self, conversation: str, now: float) -> float:
        """When this process' turn is; not after `now`: it may write."""
        ring = self._rings.get(conversation)
        if ring is None:
            return now
        for writer, at in list(ring.writers.items()):
            if now - at > RECENT_TURNS * (len(ring.writers) + 1) * self._turn_s:
                del ring.writers[writer]
        if not ring.writers:
            del self._rings[conversation]
            return now
        order = sorted({*ring.writers, self._own, ring.last})
        ahead = (order.index(self._own) - order.index(ring.last) - 1) % len(order)
        return ring.at + ahead * self._turn_s
