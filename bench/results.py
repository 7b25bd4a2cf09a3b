"""What runs came to: medians, spreads and ratios; as JSON, and as a table for the terminal."""

import json
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one figure at one size (None: it has none), one a round."""

    at: int | None
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Raises ValueError for no values."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its values; the fields are those of `suite.Figure`."""

    name: str
    unit: str
    better: str
    baseline: str
    goal: float | None
    goal_ratio: float | None
    goal_at: int | None
    chart: str
    series: Sequence[Series]

    def at(self, size: int | None) -> Series | None:
        return next((one for one in self.series if one.at == size), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one scenario. `at` is Unix time in seconds."""

    scenario: str
    title: str
    about: str
    sizes: str
    options: dict[str, Any]
    figures: Sequence[Measured]
    notes: dict[str, Any]
    at: float
    took_s: float
    machine: dict[str, Any]

    def figure(self, name: str) -> Measured | None:
        return next((one for one in self.figures if one.name == name), None)

    def ratio(self, figure: Measured, series: Series) -> Spread | None:
        """To the baseline, taken round by round. None without a baseline, or where that was not measured."""
        base = self.figure(figure.baseline) if figure.baseline else None
        beside = None if base is None else base.at(series.at) or base.at(None)
        return None if beside is None else ratios(series.values, beside.values)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a figure at a size. `held`: whether its goal is (None: it has none)."""

    figure: Measured
    at: int | None
    value: Spread
    rounds: int
    ratio: Spread | None
    held: bool | None


def ratios(values: Sequence[float], beside: Sequence[float]) -> Spread | None:
    """Of what was measured in the same rounds. None if nothing was, or the baseline was 0."""
    found = [value / base for value, base in zip(values, beside, strict=False) if base]
    return Spread.of(found) if found else None


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of all do not exceed. Raises ValueError for no values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rows(outcome: Outcome) -> list[Row]:
    found = []
    for figure in outcome.figures:
        for series in sorted(figure.series, key=lambda one: one.at or 0):
            value, ratio = Spread.of(series.values), outcome.ratio(figure, series)
            meant = figure.goal_at is None or figure.goal_at == series.at
            holds = held(figure, value, ratio) if meant else None
            found.append(Row(figure, series.at, value, len(series.values), ratio, holds))
    return found


def held(figure: Measured, value: Spread, ratio: Spread | None) -> bool | None:
    """Whether the medians are on the good side of the goals."""
    checks = []
    for goal, found in ((figure.goal, value), (figure.goal_ratio, ratio)):
        if goal is not None and found is not None:
            checks.append(found.median >= goal if figure.better == "higher" else found.median <= goal)
    return all(checks) if checks else None


def goal_text(figure: Measured) -> str:
    sign = "≥" if figure.better == "higher" else "≤"
    parts = []
    if figure.goal is not None:
        parts.append(f"{sign} {number(figure.goal)}")
    if figure.goal_ratio is not None:
        parts.append(f"{sign} {number(figure.goal_ratio)} ×")
    return ", ".join(parts)


def number(value: float) -> str:
    """Three digits that mean something: 0.0123, 1.23, 12.3, 1,230."""
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.2g}"


def write(outcome: Outcome, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.scenario}.json"
    path.write_text(json.dumps(asdict(outcome), indent=1, default=str, ensure_ascii=False))
    return path


def read(path: Path) -> Outcome:
    """Raises ValueError, TypeError or KeyError for what is no result."""
    found = json.loads(path.read_text())
    found["figures"] = [
        Measured(**{**one, "series": [Series(**series) for series in one["series"]]}) for one in found["figures"]
    ]
    return Outcome(**found)


def when(outcome: Outcome) -> str:
    """Date, revision and load, which a figure means nothing without."""
    machine = outcome.machine
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(outcome.at))
    before, after = machine["load_before"][0], machine["load_after"][0]
    return f"{date}, {machine['revision']}, load average {before:.1f} before and {after:.1f} after"


def table(outcome: Outcome) -> str:
    """For a terminal, and for a page of the documentation to quote."""
    lines = [f"{outcome.title} ({when(outcome)}; {outcome.took_s:.0f} s)"]
    shown = [["", outcome.sizes, "median", "spread", "ratio", "spread", "goal"]]
    for row in rows(outcome):
        verdict = "held" if row.held else "missed"
        shown.append(
            [
                row.figure.name,
                "" if row.at is None else f"{row.at:,}",
                f"{number(row.value.median)} {row.figure.unit}",
                f"{number(row.value.least)}–{number(row.value.most)}",
                "" if row.ratio is None else number(row.ratio.median),
                "" if row.ratio is None else f"{number(row.ratio.least)}–{number(row.ratio.most)}",
                f"{goal_text(row.figure)} {verdict}".strip() if row.held is not None else "",
            ]
        )
    widths = [max(len(line[column]) for line in shown) for column in range(len(shown[0]))]
    for line in shown:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("   ".join([first, *others]).rstrip())
    lines += [f"{name}: {value}" for name, value in outcome.notes.items()]
    return "\n".join(lines)
