"""The results as one HTML file that needs nothing else: charts, and tables that say the same in words."""

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from bench.results import Measured, Outcome, Row, goal_text, number, read, rows, when

CSS: Final = Path(__file__).with_name("page.css")
COLOURS: Final = 9


def draw(folder: Path) -> Path:
    """Write `index.html` beside the results; returns where. What is no result is named on the page, not drawn."""
    outcomes, strange = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            outcomes.append(read(path))
        except (ValueError, TypeError, KeyError):
            strange.append(path.name)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "index.html"
    target.write_text(page(outcomes, strange))
    return target


def page(outcomes: Sequence[Outcome], strange: Sequence[str] = ()) -> str:
    """The whole document."""
    links = "".join(f'<li><a href="#{escape(one.scenario)}">{escape(one.title)}</a></li>' for one in outcomes)
    themes = "".join(
        f'<label><input type="radio" name="theme" id="{name}"{" checked" if name == "system" else ""}>{shown}</label>'
        for name, shown in (("system", "as the system"), ("light", "light"), ("dark", "dark"))
    )
    left_out = f'<p class="soft">Not results: {escape(", ".join(strange))}</p>' if strange else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hubbub: benchmarks</title>
<style>
{CSS.read_text()}</style>
</head>
<body>
<a class="skip" href="#results">To the results</a>
<header>
<h1>Benchmarks</h1>
<fieldset><legend class="skip">Colours</legend>{themes}</fieldset>
<p class="soft">Medians of all rounds, with the least and the most. A ratio is taken in each round, to a baseline that
was measured in the same one: where machines are shared, the ratio is what counts.</p>
</header>
<nav aria-label="Benchmarks"><ul>{links}</ul></nav>
<main id="results">
{"".join(map(section, outcomes)) or "<p>Nothing was measured yet: <code>make bench</code>.</p>"}
{left_out}</main>
</body>
</html>
"""


def section(outcome: Outcome) -> str:
    groups: dict[str, list[Measured]] = {}
    for figure in outcome.figures:
        if figure.series:
            groups.setdefault(figure.chart, []).append(figure)
    charts = "".join(chart(title, figures, outcome) for title, figures in groups.items())
    name = escape(outcome.scenario)
    return f"""<section id="{name}" aria-labelledby="{name}-title">
<div><h2 id="{name}-title">{escape(outcome.title)}</h2>
<p>{escape(outcome.about)}</p>
<p class="soft">{escape(when(outcome))}; {outcome.took_s:.0f} s</p></div>
<div class="charts">{charts}</div>
<div class="table" role="region" tabindex="0" aria-label="{escape(outcome.title)}: all figures">{table(outcome)}</div>
{details(outcome)}
</section>
"""


def chart(title: str, figures: Sequence[Measured], outcome: Outcome) -> str:
    sizes = {series.at for figure in figures for series in figure.series} - {None}
    drawn = lines(figures, outcome) if len(sizes) > 1 else bars(figures)
    return f"<figure><figcaption><h3>{escape(title)}</h3></figcaption>{drawn}</figure>"


def bars(figures: Sequence[Measured]) -> str:
    """One for each figure, with a mark from the least to the most."""
    values = [(figure, list(figure.series[0].values)) for figure in figures]
    most = max((value for _, some in values for value in some), default=0) or 1
    parts = []
    for figure, some in values:
        middle = sorted(some)[len(some) // 2]
        share = [f"{100 * value / most:.2f}%" for value in (middle, min(some), max(some))]
        parts.append(
            f'<span class="name">{escape(figure.name)}</span>'
            f'<span class="bar" style="--c:var(--c{figures.index(figure) % COLOURS});--v:{share[0]};--from:{share[1]};'
            f'--to:{share[2]}" aria-hidden="true"><i></i><b></b></span>'
            f'<span class="value">{number(middle)} {escape(figure.unit)}</span>'
        )
    return f'<div class="bars">{"".join(parts)}</div>'


def lines(figures: Sequence[Measured], outcome: Outcome) -> str:
    """A line for each figure over the sizes. Axes are logarithmic where there is more than the tenfold."""
    found = {figure.name: [row for row in rows(outcome) if row.figure is figure] for figure in figures}
    every = [row for some in found.values() for row in some]
    across = Axis([row.at or 1 for row in every], zero=False)
    up = Axis([value for row in every for value in (row.value.least, row.value.most)], zero=True)
    baselines = {figure.baseline for figure in outcome.figures}
    drawn, dots, legend = [], [], []
    for place, figure in enumerate(figures):
        colour = f"--c:var(--c{place % COLOURS})"
        kind = ' class="base"' if figure.name in baselines else ""
        points = [(across.share(row.at or 1), row) for row in found[figure.name]]
        path = " ".join(f"{100 * x:.2f},{100 - 100 * up.share(row.value.median):.2f}" for x, row in points)
        spreads = "".join(
            f'<line class="spread" x1="{100 * x:.2f}" x2="{100 * x:.2f}"'
            f' y1="{100 - 100 * up.share(row.value.least):.2f}" y2="{100 - 100 * up.share(row.value.most):.2f}"/>'
            for x, row in points
        )
        drawn.append(f'<g style="{colour}">{spreads}<path{kind} d="M{path}"/></g>')
        dots += [dot(row, x, up.share(row.value.median), colour, outcome.sizes) for x, row in points]
        legend.append(
            f'<li><svg class="swatch{" base" if kind else ""}" style="{colour}" aria-hidden="true"><line x2="26" y1="4"'
            f' y2="4"/></svg>{escape(figure.name)}</li>'
        )
    grid = "".join(f'<line x2="100" y1="{100 - 100 * y:.2f}" y2="{100 - 100 * y:.2f}"/>' for y, _ in up.ticks())
    ticks = "".join(f'<span class="y" style="top:{100 - 100 * y:.2f}%">{text}</span>' for y, text in up.ticks())
    ticks += "".join(
        f'<span class="x" style="left:{100 * across.share(size):.2f}%">{size:,}</span>'
        for size in sorted({row.at or 1 for row in every})
    )
    return (
        f'<div class="plot"><svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{grid}'
        f"{''.join(drawn)}</svg>{ticks}{''.join(dots)}</div>"
        f'<p class="soft">by {escape(outcome.sizes)}{", logarithmic" if up.logarithmic else ""}</p>'
        f'<ul class="legend">{"".join(legend)}</ul>'
    )


def dot(row: Row, x: float, y: float, colour: str, sizes: str) -> str:
    said = f"{row.figure.name}, {row.at:,} {sizes}: {number(row.value.median)} {row.figure.unit}"
    if row.ratio is not None:
        said += f", {number(row.ratio.median)} × {row.figure.baseline}"
    edge = " first" if x < 0.2 else " last" if x > 0.8 else ""
    return (
        f'<span class="dot{edge}" tabindex="0" role="img" aria-label="{escape(said)}"'
        f' style="left:{100 * x:.2f}%;top:{100 - 100 * y:.2f}%;{colour}"></span>'
    )


class Axis:
    """From values to shares of a length, 0 to 1; logarithmic where they differ by more than the tenfold.

    `zero`: begins at 0, unless it is logarithmic.
    """

    def __init__(self, values: Sequence[float], *, zero: bool) -> None:
        above = [value for value in values if value > 0]
        self._least, self._most = (min(above), max(above)) if above else (1.0, 1.0)
        self.logarithmic = self._most > 10 * self._least
        if zero and not self.logarithmic:
            self._least, self._most = 0.0, 1.08 * self._most
        elif zero:
            self._least, self._most = 0.9 * self._least, 1.1 * self._most

    def share(self, value: float) -> float:
        low, high, value = self._least, self._most, max(value, self._least)
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """Where lines are drawn, and what stands there."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self._least)), math.ceil(math.log10(self._most)) + 1)
            marks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        elif self._most == self._least:
            marks = [self._most]
        else:
            step = 10.0 ** math.floor(math.log10(self._most - self._least))
            step *= next(factor for factor in (0.2, 0.5, 1, 2) if (self._most - self._least) / (factor * step) <= 6)
            marks = [step * count for count in range(8)]
        return [(self.share(mark), f"{mark:,g}") for mark in marks if self._least <= mark <= self._most]


def table(outcome: Outcome) -> str:
    sized = any(series.at is not None for figure in outcome.figures for series in figure.series)
    head = ["", *([outcome.sizes] if sized else []), "median", "least–most", "ratio", "least–most", "goal"]
    body = []
    for row in rows(outcome):
        ratio = ("", "") if row.ratio is None else (number(row.ratio.median), spread(row.ratio.least, row.ratio.most))
        size = [f"<td>{'' if row.at is None else f'{row.at:,}'}</td>"] if sized else []
        cells = [
            f"<td>{escape(row.figure.name)}</td>",
            *size,
            f"<td>{number(row.value.median)} {escape(row.figure.unit)}</td>",
            f'<td class="spread">{spread(row.value.least, row.value.most)}</td>',
            f"<td>{ratio[0]}</td>",
            f'<td class="spread">{ratio[1]}</td>',
            f"<td>{goal(row)}</td>",
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def spread(least: float, most: float) -> str:
    return f"{number(least)}–{number(most)}"


def goal(row: Row) -> str:
    if row.held is None:
        return ""
    verdict = "held" if row.held else "missed"
    return f'{escape(goal_text(row.figure))} <span class="{verdict}">{verdict}</span>'


def details(outcome: Outcome) -> str:
    """How it was run, on what, and whatever the scenario noted."""
    machine = dict(outcome.machine)
    said = {
        **outcome.notes,
        "options": ", ".join(f"{name} {value}" for name, value in outcome.options.items()),
        "machine": f"{machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_gb')} GB, "
        f"Linux {machine.get('kernel')}, Python {machine.get('python')}",
        "versions": ", ".join(f"{name} {version}" for name, version in machine.get("versions", {}).items()),
    }
    pairs = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(value if isinstance(value, str) else json.dumps(value, default=str))}"
        "</dd>"
        for name, value in said.items()
    )
    return f"<details><summary>How it was run</summary><dl>{pairs}</dl></details>"
