"""Tries to break the log's promises for as long as wanted.

    python tests/chaos/falsify_log.py --seconds 60 --runs 10      # on the real MongoDB that MONGODB_URL or --url names
    python tests/chaos/falsify_log.py --fault no-key-index        # a broken variant: has to be found out
    python tests/chaos/falsify_log.py --model --runs 100000       # in the model, without a database

Prints one line per run and seed. Exits with 1 when a promise broke, or when a broken variant went unnoticed.
"""

import argparse
import asyncio
import logging
import os
import sys
import time
from pathlib import Path

import structlog

# The packages under test come before tests/, which has directories of the same names.
_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS.parent), str(_TESTS)]

from support import falsify as database  # noqa: E402 - needs the path above
from support import log_model as model  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--url", default=os.environ.get("MONGODB_URL", "mongodb://127.0.0.1:27017/?directConnection=true")
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each later one takes the next")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30, help="of a run on a database")
    parser.add_argument("--fault", choices=[fault.value for fault in database.Fault], help="break this rule on purpose")
    parser.add_argument("--model", action="store_true", help="in the model instead of a database")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    broken = run_model(options) if options.model else run_database(options)
    if broken and options.fault:
        say("the broken variant was found out")
    return int(broken != bool(options.fault))


def run_model(options: argparse.Namespace) -> bool:
    """Whether a promise broke in the model."""
    started = time.monotonic()
    found = model.falsify(iter(range(options.seed, options.seed + options.runs)), steps=400)
    taken_s = time.monotonic() - started
    say(
        f"model: seeds {options.seed} to {options.seed + options.runs - 1}, {taken_s:.0f} s: {found or 'nothing broke'}"
    )
    return found is not None


def run_database(options: argparse.Namespace) -> bool:
    """Whether a promise broke on the database."""
    faults = frozenset({database.Fault(options.fault)} if options.fault else ())
    for seed in range(options.seed, options.seed + options.runs):
        try:
            report = asyncio.run(database.falsify(options.url, seed=seed, seconds=options.seconds, faults=faults))
        except database.Broken as broken:
            say(f"seed {seed}: BROKEN: {broken}")
            return True
        say(f"seed {seed}: {report}")
    return False


def say(line: str) -> None:
    """A line of the report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
