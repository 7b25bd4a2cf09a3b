"""Runs faults on a real cluster and says what they did: `make chaos`, `make soak`.

    python tests/chaos/run.py                          # every fault once
    python tests/chaos/run.py F3 F9 --seed 7
    python tests/chaos/run.py mutants                  # hubs that break a promise: each must be caught
    python tests/chaos/run.py deploy cloud-blip        # named schedules
    python tests/chaos/run.py soak --seed 1 --minutes 30
    python tests/chaos/run.py cluster                  # only start one, to look around
    python tests/chaos/run.py check .chaos/…/F3-e8ed.jsonl     # the verdict on a history that is there

Exits with 1 when an invariant was broken, a requirement was not met, or a mutant went unnoticed.
"""

import sys
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

if __name__ == "__main__":
    # The packages under test come before tests/, which has directories of the same names.
    sys.path[0] = str(TESTS.parent)
    sys.path.append(str(TESTS))
    sys.exit(import_module("chaos.running").entry())
