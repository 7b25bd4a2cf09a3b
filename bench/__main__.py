"""`python -m bench` lists the benchmarks, `run` runs some or all, `page` draws what they came to, `compare` tells
whether two revisions differ.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import page
from bench.compare import LEAST_PAIRS, compare
from bench.results import RESULTS, table
from bench.suite import arguments, names, override, prepare_process, run, scenario


def show() -> int:
    for name in names():
        print(f"{name:<18}{scenario(name).title}")
    print("\npython -m bench run [NAME...] [--quick] [--rounds 5] [option=value...]", file=sys.stderr)
    return 0


def chosen(words: Sequence[str], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names and assignments among what was typed. Raises SystemExit for a name that is none."""
    wanted = [word for word in words if "=" not in word]
    if strangers := [name for name in wanted if name not in known]:
        raise SystemExit(f"there is no {', '.join(strangers)}; there are {', '.join(known)}")
    assignments = [word for word in words if "=" in word]
    if assignments and len(wanted) != 1:
        raise SystemExit("options are for one benchmark at a time")
    return wanted, assignments


def run_some(given: argparse.Namespace) -> int:
    """Each in a process of its own, so that none inherits another's memory; then the page."""
    wanted, assignments = chosen(given.what, names())
    if len(wanted) == 1:
        one = scenario(wanted[0])
        try:
            options = override(one.options(quick=given.quick), assignments)
        except ValueError as error:
            raise SystemExit(str(error)) from None
        prepare_process()
        print(table(run(one, options, rounds=given.rounds, results=given.results)))
        page.draw(given.results)
        return 0
    common = ["--rounds", str(given.rounds), "--results", str(given.results), *(["--quick"] if given.quick else [])]
    failed = [
        name
        for name in wanted or names()
        if subprocess.run([sys.executable, "-m", "bench", "run", name, *common], check=False).returncode
    ]
    print(f"\nthe page: {page.draw(given.results)}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def compare_two(given: argparse.Namespace) -> int:
    wanted, assignments = chosen(given.what, names())
    size = [] if given.full else ["--quick"]
    print(compare(given.a, given.b, wanted or names(), [*size, *assignments], given.pairs))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("list", help="what there is")
    running = commands.add_parser("run", help="run some, or all")
    running.add_argument("what", nargs="*", metavar="NAME|option=value")
    arguments(running)
    drawing = commands.add_parser("page", help="draw what was measured")
    drawing.add_argument("--results", type=Path, default=RESULTS)
    comparing = commands.add_parser("compare", help="two revisions, in turns")
    comparing.add_argument("a", metavar="A", help="what git calls a revision")
    comparing.add_argument("b", metavar="B")
    comparing.add_argument("what", nargs="*", metavar="NAME|option=value")
    comparing.add_argument("--full", action="store_true", help="full sizes")
    comparing.add_argument("--pairs", type=int, default=LEAST_PAIRS + 1)
    # What is named may stand on either side of the flags, which argparse alone does not take.
    given, rest = parser.parse_known_args()
    if strange := [word for word in rest if word.startswith("-") or given.command not in ("run", "compare")]:
        parser.error(f"unknown: {' '.join(strange)}")
    if given.command in ("run", "compare"):
        given.what += rest
        return run_some(given) if given.command == "run" else compare_two(given)
    if given.command == "page":
        print(page.draw(given.results))
        return 0
    return show()


if __name__ == "__main__":
    sys.exit(main())
