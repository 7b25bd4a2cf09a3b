"""Reactions to messages. A reaction is any short text without a bar: an emoji, or `:a-short-code:`. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reaction:
    """One user's reaction to one message."""

    user: str
    reaction: str
    at: int


@dataclass(frozen=True, slots=True)
class Reactions:
    """The reactions to a message as one user sees them: how many users by reaction, and which are the user's own."""

    counts: Mapping[str, int]
    own: tuple[str, ...]


def counted(counts: Mapping[str, int], changes: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counts after the changes; what nobody has any more is left out."""
    total = dict(counts)
    for change in changes:
        for reaction, difference in change.items():
            total[reaction] = total.get(reaction, 0) + difference
    return {reaction: count for reaction, count in total.items() if count}
