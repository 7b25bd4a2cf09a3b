"""Summaries of what is below a message, which its log is told of behind what they sum up."""

from dataclasses import dataclass
from enum import StrEnum


class DueKind(StrEnum):
    """The values are stored. They are also the names under which a message's body keeps the summaries."""

    REACTIONS = "reactions"
    THREAD = "thread"


@dataclass(frozen=True, slots=True)
class Due:
    """The message at `offset`: its summary of this kind may be behind."""

    kind: DueKind
    conversation: str
    offset: int
