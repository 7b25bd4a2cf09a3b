"""What can be wrong with a configuration, and where a value came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Layer(StrEnum):
    """Who may give a value, weakest first."""

    DEFAULT = "default"
    PRESET = "preset"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `where` is the path of the file, the name of the variable or the flag."""

    layer: Layer
    where: str = ""

    def __str__(self) -> str:
        return f"{self.layer} {self.where}".rstrip()


DEFAULT = Origin(Layer.DEFAULT)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right: the key, the rule it breaks, where its value came from. Never the value itself.

    `other` is the key that this one clashes with, if the rule is about two.
    """

    key: str
    rule: str
    origin: Origin = DEFAULT
    other: str = ""

    def __str__(self) -> str:
        given = "" if self.origin.layer is Layer.DEFAULT else f" ({self.origin})"
        return f"{self.key}: {self.rule}{given}" if self.key else f"{self.rule}{given}"


class ConfigError(Exception):
    """The configuration cannot be used. All problems that were found are in it, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
