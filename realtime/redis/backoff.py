"""Trying again: how long to pause (random up to a doubling bound, so that a crowd comes back spread), what to say."""

from random import Random
from typing import Final

MOST_REASONS: Final = 8


class Backoff:
    def __init__(self, *, first_s: float, most_s: float, random: Random) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._random = random
        self._bound_s = first_s

    def next_s(self) -> float:
        """The next pause: between nothing and the bound. The bound doubles, up to the most."""
        bound_s = self._bound_s
        self._bound_s = min(self._most_s, bound_s * 2)
        return self._random.uniform(0, bound_s)

    def reset(self) -> None:
        """It worked: start over next time."""
        self._bound_s = self._first_s


def is_news(reason: str, told: set[str]) -> bool:
    """Whether a reason for failing is to be told, and note it: each once, and MOST_REASONS until `told` is cleared.

    Not only the first: a server that starts is away for another reason than one that then refuses our password.
    """
    if reason in told or len(told) >= MOST_REASONS:
        return False
    told.add(reason)
    return True
