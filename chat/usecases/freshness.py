"""How long what one process remembers of what others change may be believed."""

from collections.abc import Callable

USUAL_S = 15.0
"""While changes are told at once, and a notice that was lost all the same is rare."""


class Freshness:
    """Believe what was looked up `usual_s` ago while the link to the other processes is `alive`, only `apart_s` ago
    while it is not, and nothing from before its last gap: what was told then may not have been heard.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        alive: Callable[[], bool] = lambda: True,
        gaps: Callable[[], int] = lambda: 0,
        usual_s: float = USUAL_S,
        apart_s: float = USUAL_S,
    ) -> None:
        """`gaps` counts the times when something may have been lost."""
        self._monotonic = monotonic
        self._alive = alive
        self._gaps = gaps
        self._usual_s = usual_s
        self._apart_s = apart_s
        self._least_s = min(usual_s, apart_s)
        self._seen_gaps = gaps()
        self._gap_at = float("-inf")

    def holds(self, known_at: float) -> bool:
        """Whether what was looked up at this monotonic time may still be believed."""
        now = self._monotonic()
        gaps = self._gaps()
        if gaps != self._seen_gaps:
            self._seen_gaps, self._gap_at = gaps, now
        if known_at <= self._gap_at:
            return False
        # In this order: whether the link is alive costs most to ask, and for what is young it does not matter.
        age_s = now - known_at
        return age_s <= self._least_s or age_s <= (self._usual_s if self._alive() else self._apart_s)
