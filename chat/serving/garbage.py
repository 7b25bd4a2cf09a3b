"""How often Python looks for objects that only keep each other alive.

Nearly everything here is freed the moment that nobody holds it. Looking for the rest goes through all young objects,
and what is under way at a busy moment is many thousands: with Python's own thresholds (700 more objects than before)
that was a third of a hub's CPU, and with many connections a look through the old ones stops everybody for long.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (50_000, 20, 20)
"""So many objects more than before, for the youngest; so many looks at the younger ones, for the older ones.

What is lost until then are some MiB at most.
"""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look seldom while inside, and never through what is there at the beginning: modules, tables, the wiring.

    To be entered once all that is there. For a whole process: inside, nobody else may change how it is collected.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
