"""Results for people: a line while it goes, JSON and Markdown afterwards."""

import dataclasses
import json
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from chaos.conducting import Result

COLUMNS: Final = ("fault", "attempted", "acked", "unknown", "landed", "lost", "twice", "order", "heals", "verdict")
WIDTHS: Final = (34, 9, 6, 7, 6, 5, 5, 5, 7, 0)
MARKS: Final = "<!-- {name}: written by the run -->"


def head() -> str:
    return "  ".join(f"{name:<{width}}" for name, width in zip(COLUMNS, WIDTHS, strict=True)).rstrip()


def cells(result: Result) -> list[str]:
    title = f"{result.name} {result.title}" if len(result.name) <= 4 else result.name
    if result.skipped is not None:
        return [title, *[""] * 8, f"skipped: {result.skipped}"]
    counts = result.verdict.counts
    return [
        title,
        str(counts.attempted),
        str(counts.acked),
        str(counts.unknown),
        str(counts.recovered),
        str(counts.lost),
        str(counts.duplicated),
        str(counts.out_of_order),
        "" if counts.heal_s is None else f"{counts.heal_s:.1f} s",
        verdict(result),
    ]


def verdict(result: Result) -> str:
    """In a few words; what is wrong comes after it."""
    if result.holds:
        return "holds"
    said = [f"{invariant} {what}" for invariant, what in sorted(result.verdict.kinds)]
    said += [f"not: {one.name}" for one in result.requirements if not one.holds]
    return "BROKEN: " + "; ".join([*said, *(["see findings"] if result.findings else [])])


def line(result: Result) -> str:
    """A line of the table on the terminal."""
    padded = (f"{cell[: width or None]:<{width}}" for cell, width in zip(cells(result), WIDTHS, strict=True))
    return "  ".join(padded).rstrip()


def details(result: Result) -> str:
    """What a line does not say: requirements, notes, and everything that is wrong."""
    told = [f"    {'ok ' if one.holds else 'NOT'} {one.name}: {one.told}" for one in result.requirements]
    told += [f"    {name}: {value}" for name, value in result.notes.items()]
    if not result.holds:
        told += [f"    {violation}" for violation in result.verdict.violations]
        told += [f"    finding: {one}" for one in result.findings[:20]]
        told.append(f"    seed {result.seed}, history {result.history}")
    return "\n".join(told)


def as_json(results: Sequence[Result]) -> str:
    return json.dumps([_mapping(result) for result in results], indent=1, default=str)


def _mapping(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "title": result.title,
        "seed": result.seed,
        "holds": result.holds,
        "skipped": result.skipped,
        "took_s": round(result.took_s, 1),
        "counts": dataclasses.asdict(result.verdict.counts),
        "violations": {f"{invariant} {what}": count for (invariant, what), count in result.verdict.kinds.items()},
        "told": [str(violation) for violation in result.verdict.violations],
        "requirements": [dataclasses.asdict(one) for one in result.requirements],
        "notes": result.notes,
        "findings": result.findings,
        "history": str(result.history),
    }


def as_markdown(results: Sequence[Result], command: str) -> str:
    """A table with how it was made."""
    rows = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    rows += ["| " + " | ".join(cell.replace("|", "/") for cell in cells(result)) + " |" for result in results]
    ran = [result for result in results if result.skipped is None]
    sums = {
        name: sum(getattr(result.verdict.counts, name) for result in ran)
        for name in ("attempted", "acked", "unknown", "recovered", "lost", "duplicated", "out_of_order", "delivered")
    }
    told = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in sums.items())
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    minutes = sum(result.took_s for result in ran) / 60
    place = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return "\n".join([f"`{command}`, {when}, {minutes:.0f} min, {place}.", "", *rows, "", f"In all: {told}."])


def mutants_as_markdown(rows: Sequence[tuple[str, str, str, str]], command: str) -> str:
    """Which invariant caught which broken hub: mutant, what it breaks, fault, caught by."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    table = ["| mutant | what it does | under | caught by |", "|---|---|---|---|"]
    table += ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join([f"`{command}`, {when}.", "", *table])


def into_docs(path: Path, name: str, text: str) -> None:
    """Replace what is between the marks of this name. Raises ValueError where the page has none."""
    begin, end = MARKS.format(name=name), MARKS.format(name=f"/{name}")
    page = path.read_text()
    if begin not in page or end not in page:
        raise ValueError(f"{path} has no place for {name}")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    path.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page))
