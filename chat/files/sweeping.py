"""Removes files that nobody needs: announced and never completed, completed and never used, used by deleted messages.

What is due is looked at in batches by every worker there is. Whether an upload is used, the log says at that moment;
each step is one update that expects what was seen, and the file goes before the row does: whoever is killed between two
steps leaves work for the next one, and nothing that is used is ever removed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import structlog

from chat.usecases.files import Files, FilesAway, UploadRules
from storage.errors import StorageError
from storage.model import Upload, UploadState
from storage.mongo.uploads import Uploads

log = structlog.get_logger(__name__)

BATCH: Final = 100
PAUSE_S: Final = 10.0
DAY_MS: Final = 86_400_000
AGAIN_MS: Final = 7 * DAY_MS
"""A used upload is looked at again so often, should nobody have noted that a message ceased to use it."""

SETTLE_MS: Final = 120_000
"""A message that was about to use it so long ago is in the log by now, or never will be. Clocks differ less."""

RETRY_MS: Final = 300_000


class Sweeper:
    def __init__(self, uploads: Uploads, files: Files, rules: UploadRules, clock_ms: Callable[[], int]) -> None:
        self._uploads = uploads
        self._files = files
        self._rules = rules
        self._clock_ms = clock_ms

    async def sweep(self) -> int:
        """Look at one batch of what is due; returns how many there were. Raises StorageError, FilesAway."""
        due = await self._uploads.due(self._clock_ms(), BATCH)
        for upload in due:
            await self._look_at(upload)
        return len(due)

    async def _look_at(self, upload: Upload) -> None:
        now = self._clock_ms()
        if upload.state is not UploadState.REMOVED:
            needed_until = await self._needed_until(upload, now)
            if needed_until is not None:
                await self._uploads.look_later(upload, needed_until)
                return
            if not await self._uploads.remove(upload):
                return  # somebody was about to use it, or removes it as well
            log.info("upload_removed", upload=upload.id, state=upload.state.value)
        await self._empty(upload, now)

    async def _needed_until(self, upload: Upload, now: int) -> int | None:
        """When to look at it again; None: nobody needs it."""
        if upload.state is UploadState.PENDING:
            expires_at = upload.created_at + self._rules.pending_ttl_ms
            return expires_at if expires_at > now else None
        if await self._uploads.used_in(upload.id, 1):
            return now + AGAIN_MS
        settled_at = (upload.kept_at or 0) + SETTLE_MS
        return settled_at if settled_at > now else None

    async def _empty(self, upload: Upload, now: int) -> None:
        """Its file goes; the row as soon as it does not count any more in what its user announced within a day."""
        try:
            await self._files.drop(upload.id, upload.copies)
        except FilesAway:
            # Others first next time, should it be this one that fails.
            await self._uploads.look_later(replace(upload, state=UploadState.REMOVED), now + RETRY_MS)
            raise
        forgotten_at = upload.created_at + DAY_MS
        if forgotten_at <= now:
            await self._uploads.delete(upload.id)
        else:
            await self._uploads.emptied(upload.id, look_at=forgotten_at)


@asynccontextmanager
async def sweeping(sweeper: Sweeper, *, pause_s: float = PAUSE_S) -> AsyncIterator[None]:
    """Sweeps until the block ends."""
    task = asyncio.create_task(_sweep_on(sweeper, pause_s), name="upload-sweeper")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sweep_on(sweeper: Sweeper, pause_s: float) -> None:
    while True:
        found = 0
        try:
            found = await sweeper.sweep()
        except (StorageError, FilesAway) as error:
            log.warning("upload_sweep_interrupted", reason=str(error))
        except Exception:
            log.exception("upload_sweep_failed")
        if found < BATCH:
            await asyncio.sleep(pause_s)
