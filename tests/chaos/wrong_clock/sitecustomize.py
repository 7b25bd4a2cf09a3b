"""For a process under libfaketime, by PYTHONPATH: its `clock_nanosleep` refuses what Python's `time.sleep` asks."""

import select
import time


def _sleep(seconds: float) -> None:
    select.select((), (), (), seconds)


time.sleep = _sleep
