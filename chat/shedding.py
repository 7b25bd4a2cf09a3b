"""Whose calls are put off while a process is overloaded: reading first, sending last. Pure: no clock of its own."""

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

Urgency: TypeAlias = Literal["read", "act", "send"]
"""What is put off first: reading pages; last: sending."""

READS: Final = frozenset(
    {
        "conversation.bans",
        "conversation.list",
        "conversation.members",
        "device.list",
        "history.page",
        "history.pins",
        "history.search",
        "invite.list",
        "mention.list",
        "message.reactions",
        "message.seen_by",
        "message.versions",
        "push.trace",
        "sync",
        "thread.list",
        "user.blocked",
    }
)
SENDS: Final = frozenset({"message.send"})

MAX_READS: Final = 256
"""Reads of one process at a time. More would only stand in the way of what is written: both share the same sockets to
MongoDB.
"""

PUT_OFF_S: Final[Mapping[Urgency, float]] = {"read": 1.0, "act": 2.0, "send": 4.0}
"""How late the event loop has to be, for about a second, until so urgent a call is put off."""

SMOOTHING: Final = 0.15


class Shedding:
    """Says which calls are put off. Bound: `MAX_READS` reads at a time; what it allows it must be told the end of."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._lag_s = 0.0
        self._reads = 0
        self.put_off: dict[str, int] = dict.fromkeys(PUT_OFF_S, 0)

    def lagged(self, lag_s: float) -> None:
        """The event loop was so late just now. To be told about ten times a second."""
        self._lag_s += SMOOTHING * (lag_s - self._lag_s)

    @property
    def lag_s(self) -> float:
        """How late the event loop is, smoothed over about a second."""
        return self._lag_s

    def begin(self, method: str) -> int | None:
        """A call begins, `end` is due for it; or else how many ms the caller is to wait before it asks again."""
        urgency = urgency_of(method)
        if self._lag_s > PUT_OFF_S[urgency] or (urgency == "read" and self._reads >= MAX_READS):
            self.put_off[urgency] += 1
            return int(1000 * (1.0 + self._random() * max(1.0, 2 * self._lag_s)))
        self._reads += urgency == "read"
        return None

    def end(self, method: str) -> None:
        """A call that was allowed to begin is over."""
        self._reads -= urgency_of(method) == "read"


def urgency_of(method: str) -> Urgency:
    if method in SENDS:
        return "send"
    return "read" if method in READS else "act"
