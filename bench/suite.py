"""The frame that every benchmark of this folder fits into; README.md tells how to write one.

A module is a benchmark if it has a `SCENARIO`. A scenario names its figures and measures them in rounds; everything
else (options, progress, medians and ratios, files, the page, comparing two revisions) is the same for all.
"""

import argparse
import importlib
import logging
import os
import re
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Literal

import structlog
import uvloop

from bench.machine import facts
from bench.results import RESULTS, Measured, Outcome, Series, table, write

HERE: Final = Path(__file__).parent
ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured, once a round (and size).

    `baseline` names another figure of the same scenario: the ratio to it is taken in each round, at the same size if
    it has one. `goal` bounds the median, `goal_ratio` the median of the ratios, at every size or at `goal_at`; which
    side is good says `better` ("" for what is only told). Figures with the same `chart` share one (the unit, if
    nothing is said).
    """

    name: str
    unit: str
    better: Literal["lower", "higher", ""] = "lower"
    baseline: str = ""
    goal: float | None = None
    goal_ratio: float | None = None
    goal_at: int | None = None
    chart: str = ""


@dataclass(frozen=True)
class Scenario:
    """A benchmark. `name` is that of its module; `about` one or two sentences on what is done, for the page.

    `measure` gets a `Run`, adds the values to it and raises if something went wrong. A coroutine function is run on
    uvloop. `full` and `quick` are its options (numbers, words, tuples of them), which can be overridden by name; what
    `quick` does not name is as in `full`. `sizes` says what sizes count (the x axis), if figures have them.
    """

    name: str
    title: str
    about: str
    figures: Sequence[Figure]
    measure: Callable[["Run"], Awaitable[None] | None]
    full: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    sizes: str = ""

    def options(self, *, quick: bool) -> dict[str, Any]:
        return {**self.full, **self.quick} if quick else dict(self.full)


class Run:
    """One run of a scenario: its options and what was measured so far."""

    def __init__(self, scenario: Scenario, options: Mapping[str, Any], rounds: int) -> None:
        self.options = SimpleNamespace(**options)
        self.notes: dict[str, Any] = {}
        """What else is worth knowing; shown under the figures."""
        self.count = rounds
        """How many rounds were asked for."""
        self._scenario = scenario
        self._keeping = True
        self._values: dict[str, dict[int | None, list[float]]] = {figure.name: {} for figure in scenario.figures}
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Progress, on stderr."""
        print(f"{time.monotonic() - self._began:6.1f} s  {self._scenario.name}: {text}", file=sys.stderr, flush=True)

    def rounds(self, warm: int = 0) -> Iterator[int]:
        """As many rounds as were asked for, numbered from 1, and before them some (0 and below) to get warm, of which
        nothing is kept.
        """
        for number in range(1 - warm, self.count + 1):
            self._keeping = number > 0
            self.say(f"round {number} of {self.count}" if number > 0 else "a round to get warm")
            yield number

    def add(self, figure: str, value: float, at: int | None = None) -> None:
        """What this round has come to, `at` a size. Raises KeyError for a figure that was not named."""
        of = self._values[figure]
        if self._keeping:
            of.setdefault(at, []).append(value)

    def measured(self) -> list[Measured]:
        return [
            Measured(
                name=figure.name,
                unit=figure.unit,
                better=figure.better,
                baseline=figure.baseline,
                goal=figure.goal,
                goal_ratio=figure.goal_ratio,
                goal_at=figure.goal_at,
                chart=figure.chart or figure.unit,
                series=[Series(at, values) for at, values in self._values[figure.name].items()],
            )
            for figure in self._scenario.figures
        ]


def run(scenario: Scenario, options: Mapping[str, Any], *, rounds: int, results: Path = RESULTS) -> Outcome:
    """Run one in this process, write `<results>/<name>.json` and return what it came to."""
    one = Run(scenario, options, rounds)
    at, load, began = time.time(), os.getloadavg(), time.monotonic()
    doing = scenario.measure(one)
    if doing is not None:
        uvloop.run(_awaited(doing))
    outcome = Outcome(
        scenario=scenario.name,
        title=scenario.title,
        about=scenario.about,
        sizes=scenario.sizes,
        options=dict(options),
        figures=one.measured(),
        notes=one.notes,
        at=at,
        took_s=time.monotonic() - began,
        machine=facts(load_before=load),
    )
    write(outcome, results)
    return outcome


async def _awaited(doing: Awaitable[None]) -> None:
    await doing


def names() -> list[str]:
    """The benchmarks of this folder. None of them is imported: at another revision one of them might not be."""
    return [
        path.stem for path in sorted(HERE.glob("*.py")) if re.search(r"^SCENARIO\b", path.read_text(), re.MULTILINE)
    ]


def scenario(name: str) -> Scenario:
    """One of `names`."""
    found: Scenario = importlib.import_module(f"bench.{name}").SCENARIO
    return found


def prepare_process() -> None:
    """As many files as may be, and no log but warnings."""
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results (bench/results)")


def override(options: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Options with some of them set: `receivers=10,100`. Values are read as what they replace. Raises ValueError."""
    changed = dict(options)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or name not in options:
            raise ValueError(f"{assignment!r} is none of {', '.join(f'{known}=' for known in options)}")
        changed[name] = _like(options[name], text)
    return changed


def _like(usual: Any, text: str) -> Any:
    if isinstance(usual, bool):
        return text.lower() in ("1", "true", "yes")
    if isinstance(usual, tuple | list):
        return tuple(_like(usual[0], part) if usual else part for part in text.split(",") if part)
    return type(usual)(text)


def main(scenario: Scenario) -> None:
    """`python -m bench.<name>`: run it alone, with an option for each of its own, and print what it came to."""
    parser = argparse.ArgumentParser(description=f"{scenario.title}. {scenario.about}")
    arguments(parser)
    for name, value in scenario.full.items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=f"option {name}", metavar=_shown(value))
    given = parser.parse_args()
    wanted = [f"{name}={value}" for name in scenario.full if (value := getattr(given, f"option {name}")) is not None]
    options = override(scenario.options(quick=given.quick), wanted)
    prepare_process()
    print(table(run(scenario, options, rounds=given.rounds, results=given.results)))


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


__all__ = ["ROUNDS", "Figure", "Run", "Scenario", "main", "names", "run", "scenario"]
