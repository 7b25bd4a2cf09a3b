"""Two revisions beside each other, and whether they differ by more than chance.

Each is checked out into a worktree of its own, with this working tree's bench/ in both: one instrument for both. Then
every benchmark is run for one round with the one, one with the other, and so on, and each pair gives a ratio.
"""

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.machine import ROOT
from bench.results import Measured, Outcome, number, read

CONFIDENCE: Final = 0.95
LEAST_PAIRS: Final = 6
"""With fewer no interval is that sure."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What pairs of measurements of two revisions say: the median of the ratios B to A, and where it surely is."""

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def differs(self) -> bool:
        """Whether more than chance is seen."""
        return self.pairs >= LEAST_PAIRS and not self.low <= 1 <= self.high


def verdict(ratios: Sequence[float]) -> Verdict:
    """By order statistics, so that nothing is taken for granted of how noise is spread: of n ratios the interval from
    the k-th least to the k-th most misses the true median with the chance that n coins show fewer than k heads, twice.
    The largest k that still gives 95 %. Raises ValueError for no ratios.
    """
    if not ratios:
        raise ValueError("nothing was measured")
    ordered, count = sorted(ratios), len(ratios)
    cut, missed = 0, 0.5**count
    while cut + 1 < count // 2 and 2 * (missed + math.comb(count, cut + 1) * 0.5**count) <= 1 - CONFIDENCE:
        cut += 1
        missed += math.comb(count, cut) * 0.5**count
    return Verdict(statistics.median(ordered), ordered[cut], ordered[-1 - cut], count)


def word(figure: Measured, found: Verdict) -> str:
    """In words, for B."""
    if found.pairs < LEAST_PAIRS:
        return f"too few pairs to tell (at least {LEAST_PAIRS})"
    if not found.differs:
        return "no difference beyond chance"
    less = found.ratio < 1
    if figure.better not in ("lower", "higher"):
        return "less" if less else "more"
    return "better" if less == (figure.better == "lower") else "worse"


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """A worktree of it, with the bench/ of here. Removed with the block."""
    with tempfile.TemporaryDirectory(prefix="hubbub-compare-") as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--detach", str(tree), revision)
        try:
            shutil.rmtree(tree / "bench", ignore_errors=True)
            shutil.copytree(ROOT / "bench", tree / "bench", ignore=shutil.ignore_patterns("results", "__pycache__"))
            modules = ROOT / "tests" / "js" / "node_modules"
            if modules.exists():
                (tree / "tests" / "js").mkdir(parents=True, exist_ok=True)
                (tree / "tests" / "js" / "node_modules").symlink_to(modules.resolve())
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())


def one_round(tree: Path, name: str, options: Sequence[str], results: Path) -> Outcome:
    """Raises SystemExit when it fails there."""
    command = [sys.executable, "-m", "bench", "run", name, "--rounds", "1", "--results", str(results), *options]
    # The tree before whatever is installed.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} fails there:\n{done.stderr}")
    return read(results / f"{name}.json")


def compare(a: str, b: str, names: Sequence[str], options: Sequence[str], pairs: int) -> str:
    """A B, B A, A B ...: so that a machine that becomes slower hits both alike. Returns what to print."""
    with ExitStack() as stack:
        trees = [stack.enter_context(checked_out(revision)) for revision in (a, b)]
        results = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubbub-compare-")))
        parts = []
        for name in names:
            rounds: tuple[list[Outcome], list[Outcome]] = ([], [])
            for pair in range(pairs):
                for side in (0, 1) if pair % 2 == 0 else (1, 0):
                    began = time.monotonic()
                    rounds[side].append(one_round(trees[side], name, options, results))
                    took_s = time.monotonic() - began
                    print(f"{name}: pair {pair + 1} of {pairs}, {(a, b)[side]}, {took_s:.0f} s", file=sys.stderr)
            parts.append(report(name, a, b, rounds))
    return "\n\n".join(parts)


def report(name: str, a: str, b: str, rounds: tuple[Sequence[Outcome], Sequence[Outcome]]) -> str:
    """A table: both medians, the ratio B to A with its interval, and the verdict."""
    shown = [[f"{name}", "", "A", "B", "B/A", "surely in", ""]]
    differing = told = 0
    for figure in rounds[0][0].figures:
        for series in figure.series:
            values = [[value for one in side for value in values_of(one, figure.name, series.at)] for side in rounds]
            ratios = [there / here for here, there in zip(*values, strict=False) if here]
            if not ratios:
                continue
            found = verdict(ratios)
            told += 1
            differing += found.differs
            shown.append(
                [
                    figure.name,
                    "" if series.at is None else f"{series.at:,}",
                    *(f"{number(statistics.median(side))} {figure.unit}" for side in values),
                    f"{found.ratio:.3f}",
                    f"{found.low:.3f}–{found.high:.3f}",
                    word(figure, found),
                ]
            )
    widths = [max(len(line[column]) for line in shown) for column in range(7)]
    lines = [
        "   ".join(cell.ljust(width) if at in (0, 6) else cell.rjust(width) for at, (cell, width) in enumerate(cells))
        for cells in (zip(line, widths, strict=True) for line in shown)
    ]
    chance = told * (1 - CONFIDENCE)
    return "\n".join(
        [
            f"A = {a}, B = {b}; {len(rounds[0])} pairs",
            *(line.rstrip() for line in lines),
            f"{differing} of {told} differ; by chance alone up to {chance:.1f} would seem to.",
        ]
    )


def values_of(outcome: Outcome, figure: str, at: int | None) -> Sequence[float]:
    there = outcome.figure(figure)
    series = None if there is None else there.at(at)
    return () if series is None else series.values
