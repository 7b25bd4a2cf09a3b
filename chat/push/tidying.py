"""Ends devices that have not registered for long: nobody says that they are gone, but nobody uses them any more.

An app registers at every start, so who comes back has lost nothing. Every worker does this now and then; what one has
done another finds done.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from storage.errors import StorageError
from storage.store import Store

log = structlog.get_logger(__name__)

DAY_MS: Final = 24 * 3_600_000
_RANDOM: Final = secrets.SystemRandom()
FIRST_S: Final = 60.0
"""The first round is within this time."""


@dataclass(frozen=True, slots=True)
class TidyingSettings:
    """A device that was not confirmed for `stale_ms` is sent nothing any more; Firebase gives its tokens as long.

    A round every `every_s` or so ends at most `most` of them, `batch` at a time: so a clock that is wrong is noticed
    before everybody is gone, and tombstones are kept for a while.
    """

    stale_ms: int = 270 * DAY_MS
    every_s: float = 3600.0
    batch: int = 500
    most: int = 5_000


async def tidy(store: Store, settings: TidyingSettings, *, now: int) -> int:
    """One round; how many devices it has ended. Raises StorageError."""
    ended = 0
    while ended < settings.most:
        limit = min(settings.batch, settings.most - ended)
        found = await store.devices.tombstone_stale(confirmed_before=now - settings.stale_ms, at=now, limit=limit)
        ended += found
        # Fewer also where another worker does the same: the rest is its, or the next round's.
        if found < limit:
            break
    return ended


@asynccontextmanager
async def open_tidying(
    store: Store,
    clock_ms: Callable[[], int],
    *,
    settings: TidyingSettings | None = None,
    random: Callable[[], float] = _RANDOM.random,
) -> AsyncIterator[None]:
    """Tidies until the block ends. `random` gives [0, 1): several workers do not begin at the same moment."""
    task = asyncio.create_task(_run(store, clock_ms, settings or TidyingSettings(), random), name="push-tidying")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(
    store: Store, clock_ms: Callable[[], int], settings: TidyingSettings, random: Callable[[], float]
) -> None:
    pause_s = min(FIRST_S, settings.every_s) * random()
    while True:
        await asyncio.sleep(pause_s)
        pause_s = settings.every_s * (0.5 + random())
        try:
            ended = await tidy(store, settings, now=clock_ms())
        except StorageError as error:
            log.warning("push_tidying_interrupted", reason=str(error))
            continue
        except Exception:
            log.exception("push_tidying_failed")
            continue
        if ended:
            log.info("push_devices_stale", ended=ended, more=ended >= settings.most)
