"""Runs faults, schedules, mutants and soaks on a real cluster, and says what they did."""

import argparse
import asyncio
import logging
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog

from chaos import report, schedule
from chaos.checker import check
from chaos.cluster import LiveCluster, open_cluster
from chaos.conducting import Act, Result, conduct
from chaos.fault import Fault, Topology
from chaos.faults_table import FAULTS
from chaos.history import read
from chaos.mutants_run import run_mutants

_ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = _ROOT / "docs" / "chaos.md"
RUNS: Final = _ROOT / ".chaos"


class Clusters:
    """One cluster at a time, used again for the next fault while it is healthy and of the right shape."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = AsyncExitStack()
        self._cluster: LiveCluster | None = None
        self._number = 0

    async def of(self, topology: Topology, *, mutant: str = "") -> LiveCluster:
        if self._cluster is not None and self._cluster.topology == topology and not mutant:
            return self._cluster
        await self.close()
        self._number += 1
        directory = self._directory / f"cluster{self._number}{'-' + mutant if mutant else ''}"
        opening = open_cluster(topology, directory, mutant=mutant)
        self._cluster = await self._stack.enter_async_context(opening)
        return self._cluster

    async def close(self) -> None:
        self._cluster = None
        await self._stack.aclose()


async def run_faults(
    faults: Sequence[Fault], options: argparse.Namespace, directory: Path, results: list[Result]
) -> None:
    """Each fault by itself."""
    clusters = Clusters(directory)
    try:
        for topology, some in schedule.grouped([one for one in faults if one.skipped() is None]):
            for fault in some:
                result = await _tried(clusters, topology, [Act((fault,))], options.seed, directory)
                await _note(clusters, result, results)
    finally:
        await clusters.close()
    for fault in faults:
        if (why := fault.skipped()) is not None:
            results.append(Result(f"F{fault.number}", fault.title, options.seed, skipped=why))
            tell(results[-1])


async def run_segments(
    segments: Sequence[schedule.Segment],
    names: Sequence[str],
    options: argparse.Namespace,
    directory: Path,
    results: list[Result],
) -> None:
    """Schedules of several acts."""
    clusters = Clusters(directory)
    try:
        for number, (segment, name) in enumerate(zip(segments, names, strict=True)):
            say(f"# {name}: {', then '.join(_planned(act) for act in segment.acts)}")
            result = await _tried(clusters, segment.topology, segment.acts, options.seed + number, directory)
            result.title = result.name
            result.name = name
            await _note(clusters, result, results)
    finally:
        await clusters.close()


async def _note(clusters: Clusters, result: Result, results: list[Result]) -> None:
    """Tell it; a cluster on which something broke is not used again."""
    results.append(result)
    tell(result)
    if not result.holds:
        await clusters.close()


def _planned(act: Act) -> str:
    pairs = zip(act.faults, (*act.delays_s, *(0.0 for _ in act.faults)), strict=False)
    return " with ".join(f"F{fault.number} at {delay_s:g} s for {fault.lasts_s:g} s" for fault, delay_s in pairs)


async def _tried(clusters: Clusters, topology: Topology, acts: Sequence[Act], seed: int, directory: Path) -> Result:
    """A cluster that does not start is a result too."""
    started = time.monotonic()
    try:
        cluster = await clusters.of(topology)
    except Exception as error:  # noqa: BLE001 - told in the result
        await clusters.close()
        name, title = ",".join(act.name for act in acts), acts[0].faults[0].title
        return Result(name, title, seed, findings=[f"the cluster did not start: {error!r}"])
    result = await conduct(cluster, acts, seed=seed, directory=directory)
    result.took_s = time.monotonic() - started
    return result


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(result: Result) -> None:
    say(f"{report.line(result)}  ({result.took_s:.0f} s)")
    if told := report.details(result):
        say(told)


def chosen(names: Sequence[str]) -> list[Fault]:
    """The faults with these names, `F3`; all without any. Raises SystemExit for one that is not there."""
    if not names:
        return list(FAULTS)
    by_name = {f"F{fault.number}": fault for fault in FAULTS}
    unknown = [name for name in names if name.upper() not in by_name]
    if unknown:
        raise SystemExit(
            f"no such fault or schedule: {', '.join(unknown)}; there are {', '.join(by_name)}, mutants, "
            f"soak, {', '.join(schedule.NAMED)}"
        )
    return [by_name[name.upper()] for name in names]


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", help="faults (F3), schedules, `mutants` (with names: only those), `soak`, `cluster`, `check`"
    )
    parser.add_argument("--seed", type=int, default=None, help="decides who does what, and the schedule of a soak")
    parser.add_argument("--minutes", type=float, default=30.0, help="of a soak")
    parser.add_argument("--directory", type=Path, default=None, help="where logs, histories and the report go")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/chaos.md")
    parser.add_argument("--list", action="store_true", help="only say what there is, and what this machine cannot do")
    return parser


async def main(options: argparse.Namespace) -> int:
    if options.seed is None:
        options.seed = secrets.randbelow(1_000_000)
    started = time.monotonic()
    directory = options.directory or RUNS / time.strftime("%Y%m%d-%H%M%S")
    directory.mkdir(parents=True, exist_ok=True)
    what, command = list(options.what), " ".join(["python tests/chaos/run.py", *options.what, f"--seed {options.seed}"])
    say(f"seed {options.seed}; logs and histories in {directory}")
    if what[:1] == ["mutants"]:
        rows, caught = await run_mutants(what[1:], options.seed, directory, say)
        text = report.mutants_as_markdown(rows, command)
        (directory / "mutants.md").write_text(text + "\n")
        if options.docs:
            report.into_docs(DOCS, "mutants", text)
        return int(not caught)
    if what == ["cluster"]:
        await show(directory)
    say(report.head())
    results: list[Result] = []
    place = "faults"
    try:
        if what == ["soak"]:
            command, place = f"{command} --minutes {options.minutes:g}", f"soak-{options.seed}"
            able = [fault for fault in FAULTS if fault.skipped() is None]
            segments = schedule.soak(able, seed=options.seed, minutes=options.minutes)
            names = [f"part {number}" for number in range(1, len(segments) + 1)]
            await run_segments(segments, names, options, directory, results)
        elif what and all(name in schedule.NAMED for name in what):
            place = "schedules"
            await run_segments([schedule.named(name, FAULTS) for name in what], what, options, directory, results)
        else:
            await run_faults(chosen(what), options, directory, results)
    finally:
        # What is there by now, also when somebody has had enough.
        if place == "faults":
            results.sort(key=lambda result: int(result.name.removeprefix("F")))
        text = report.as_markdown(results, command)
        (directory / "report.md").write_text(text + "\n")
        (directory / "report.json").write_text(report.as_json(results))
        if options.docs:
            report.into_docs(DOCS, place, text)
    return _ended(results, time.monotonic() - started)


async def show(directory: Path) -> None:
    """Start a cluster and say where it is, until told to stop."""
    async with open_cluster(Topology(), directory) as cluster:
        for hub in cluster.hubs:
            say(f"{hub.name}: {hub.http} pid {hub.pid}")
        await asyncio.Event().wait()


async def until_told(options: argparse.Namespace) -> int:
    """As `main`, ended in good order by SIGINT and SIGTERM."""
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    return await main(options)


def _ended(results: Sequence[Result], took_s: float) -> int:
    """The last line, and the exit code."""
    broken = [result.name for result in results if result.skipped is None and not result.holds]
    skipped = sum(result.skipped is not None for result in results)
    which = f": {', '.join(broken)}" if broken else ""
    say(
        f"{len(results) - len(broken) - skipped} held, {len(broken)} broken{which}, {skipped} skipped, "
        f"{took_s / 60:.1f} min"
    )
    return int(bool(broken))


def check_again(paths: Sequence[str]) -> int:
    """The verdict of today's checker on histories of other days; the exit code."""
    broken = False
    for path in paths:
        verdict = check(sorted(read(Path(path)), key=lambda event: event.t))
        broken = broken or not verdict.holds
        kinds = "; ".join(f"{invariant} {what} ({count})" for (invariant, what), count in verdict.kinds.items())
        say(f"{path}: {kinds or 'holds'}")
        for violation in verdict.violations:
            say(f"    {violation}")
    return int(broken)


def list_all() -> None:
    for fault in FAULTS:
        why = fault.skipped()
        say(f"F{fault.number}: {fault.title}{'' if why is None else f' (skipped: {why})'}")


def entry() -> int:
    """As the command line says; the exit code."""
    given = command_line().parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("centrifuge").setLevel(logging.CRITICAL)
    if given.list:
        list_all()
        return 0
    if given.what[:1] == ["check"]:
        return check_again(given.what[1:])
    try:
        return asyncio.run(until_told(given))
    except asyncio.CancelledError:
        return 130
