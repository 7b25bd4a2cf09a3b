"""What the peer of one connection has confirmed, of which channels, and whether it should be asked. Pure.

Nothing but a peer's word proves that it has something: an open socket takes what it is given for minutes after the peer
is gone. A pong answers a ping, and pings and publications arrive in the order in which they were written: so a pong
confirms what had been handed to the socket before its ping, and nothing that came later.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final

MAX_CONFIRMED: Final = 20
"""Channels of one connection, and of what is kept of its device. Of more, those are forgotten where something was
confirmed, or written, the longest ago: they count as not confirmed.
"""

MAX_ASKED: Final = 4
"""Pings that wait for their pong and would confirm something. Beyond it further pings confirm nothing."""

ASK_APART_S: Final = 3.0
"""How long after a ping the next one may come out of turn. Whoever waits for a confirmation does so for 5 s."""


class Confirming:
    """Pings are answered in their order, so the n-th pong is taken for the answer to the n-th ping. A peer that leaves
    some out confirms later than it could, never too early; one that sends more than it was asked for is not heard.
    """

    __slots__ = ("_answered", "_ask_at", "_asked", "_confirmed", "_moved", "_pings")

    def __init__(self, *, ask_at: float) -> None:
        """`ask_at`: monotonic time of the first ping out of turn, if there is something to confirm."""
        self._ask_at = ask_at
        self._pings = 0
        self._answered = 0
        self._asked: deque[tuple[int, Mapping[str, int]]] = deque()
        self._confirmed: dict[str, int] = {}
        self._moved: dict[str, None] = {}

    @property
    def confirmed(self) -> Mapping[str, int]:
        """An offset by channel, the latest confirmed last."""
        return self._confirmed

    @property
    def moved(self) -> Collection[str]:
        """Where something was written that no ping has asked about yet."""
        return self._moved.keys()

    def entered(self, channel: str) -> None:
        """The connection begins somewhere in this channel. Of more than there is room for, the first ones count."""
        if len(self._moved) < MAX_CONFIRMED:
            self._moved[channel] = None

    def written(self, channel: str, offset: int) -> bool:
        """It was handed everything up to `offset`. True: that is news, the peer should be asked."""
        if self._confirmed.get(channel, 0) >= offset or any(at.get(channel, 0) >= offset for _, at in self._asked):
            return False
        self._moved.pop(channel, None)
        self._moved[channel] = None
        if len(self._moved) > MAX_CONFIRMED:
            del self._moved[next(iter(self._moved))]
        return True

    def should_ask(self, now: float) -> bool:
        """Whether a ping out of turn is due. Never while another one is to be answered: that would tell nothing."""
        return bool(self._moved) and not self._asked and now >= self._ask_at

    def pinged(self, stands: Mapping[str, int] | None, now: float) -> None:
        """A ping is written now, behind everything up to these offsets; None: it overtakes something.

        Where something moved and no offset is given, the connection is behind, or out: if it is ever given more there,
        that will be told by `written`.
        """
        self._pings += 1
        self._ask_at = now + ASK_APART_S
        if stands is None or len(self._asked) >= MAX_ASKED:
            return
        self._moved.clear()
        if stands:
            self._asked.append((self._pings, stands))

    def ponged(self) -> None:
        """The peer has answered a ping."""
        self._answered = min(self._answered + 1, self._pings)
        while self._asked and self._asked[0][0] <= self._answered:
            for channel, offset in self._asked.popleft()[1].items():
                self.has(channel, offset)

    def has(self, channel: str, offset: int) -> bool:
        """The peer has the channel up to there, by its own word. False: that was known."""
        if self._confirmed.get(channel, 0) >= offset:
            return False
        self._confirmed.pop(channel, None)
        self._confirmed[channel] = offset
        if len(self._confirmed) > MAX_CONFIRMED:
            del self._confirmed[next(iter(self._confirmed))]
        return True
