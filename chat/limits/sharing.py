"""Tells the other processes what users spent here, and learns what they spent there.

Redis keeps a bucket per user that all processes take from, after the fact: about once a second each process says what
its users took (who took next to nothing is left out), in one pipelined call per server and thousand users, and hears
how full the buckets are then. So a limit holds over all processes within about a second; with n processes n bursts may
pass before. While Redis is away, each process counts by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from chat.limits.users import UserLimits

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 1.0

USERS_PER_CALL: Final = 1000
"""Told in one call; the event loop has a turn between calls."""

MAX_DEBT_S: Final = 10.0
"""What others spent may empty a bucket so far beyond its burst, and no further: nobody waits for ever."""


class Shared(Protocol):
    """Buckets that all processes take from."""

    async def spend(self, charges: Sequence[tuple[str, float, float, float]]) -> list[float]:
        """Take from buckets by name: (name, how long it takes to refill what was taken, the most that it may take to
        fill it, how long ago the taking began), in seconds. Returns in how many seconds each will be full, 0 where it
        is unknown. Nothing taken only asks. Raises ConnectionError or TimeoutError; what was taken then is unknown.
        """


@asynccontextmanager
async def sharing(
    users: UserLimits, shared: Shared, *, random: Callable[[], float], interval_s: float = INTERVAL_S
) -> AsyncIterator[None]:
    """Share until the block ends."""
    task = asyncio.create_task(_share_until_cancelled(users, shared, random, interval_s), name="share-rates")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _share_until_cancelled(
    users: UserLimits, shared: Shared, random: Callable[[], float], interval_s: float
) -> None:
    away = False
    while True:
        # Not all processes at once.
        await asyncio.sleep(interval_s * (0.9 + 0.2 * random()))
        try:
            await share(users, shared)
            away = False
        except (ConnectionError, TimeoutError) as error:
            if not away:
                log.warning("rates_not_shared", error=str(error))
            away = True
        except Exception:
            # A limit less is no reason to serve nobody.
            log.exception("sharing_rates_failed")


async def share(users: UserLimits, shared: Shared) -> None:
    """Once. What could not be told is forgotten: it would be too late for anybody."""
    for tally in users.tallies:
        spent = tally.take_spent()
        for start in range(0, len(spent), USERS_PER_CALL):
            some, now = spent[start : start + USERS_PER_CALL], users.monotonic()
            levels = await shared.spend(
                [
                    (
                        f"{tally.name}:{one.spender.user}",
                        one.count * tally.rate.interval_s,
                        tally.rate.full_s + MAX_DEBT_S,
                        now - one.since,
                    )
                    for one in some
                ]
            )
            tally.learn(now, zip((one.spender for one in some), levels, strict=True))
        # Not before: who is full as far as is known here may have spent elsewhere.
        tally.forget_full(users.monotonic())
