"""Measures how late the event loop is: everything else in the process waits at least as long."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

INTERVAL_S: Final = 0.1
"""Between two measurements: 10 observations a second show a stall of 100 ms for certain, at 0.01 % of a core."""


@asynccontextmanager
async def sampled_loop_lag(
    observe: Callable[[float], None], *, monotonic: Callable[[], float], interval_s: float = INTERVAL_S
) -> AsyncIterator[None]:
    """While inside, give `observe` the lag in seconds every `interval_s`.

    uvloop rounds timers to milliseconds, so below 1 ms the figure says "none". A stall is observed once, with its whole
    length, when it ends.
    """

    async def sample() -> None:
        while True:
            due = monotonic() + interval_s
            await asyncio.sleep(interval_s)
            observe(max(0.0, monotonic() - due))

    task = asyncio.create_task(sample(), name="loop-lag")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
