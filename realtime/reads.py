"""Reads of feeds, shared between those who ask for the same."""

import asyncio
from collections.abc import Hashable
from functools import partial
from typing import Final, Self

from realtime.ports import Feed
from realtime.protocol.messages import Publication

PIECE_ENTRIES: Final = 100
PIECE_BYTES: Final = 32 * 1024


class SharedReads:
    """Reads of feeds, where those who ask the same at the same time share one answer. To be entered: it owns the reads.

    Bound: `concurrent` reads run at once, the others wait their turn.
    """

    def __init__(self, *, concurrent: int = 32) -> None:
        self._running: dict[Hashable, asyncio.Task[list[Publication]]] = {}
        self._turn = asyncio.Semaphore(concurrent)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def after(self, feed: Feed, channel: str, offset: int) -> list[Publication]:
        """One piece of what follows `offset`; the read may have begun before the call.

        Raises what the feed raises. Safe to cancel: the read goes on for those who share it.
        """
        key = (feed, channel, offset)
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._read(feed, channel, offset), name="shared-read")
            self._running[key] = task
            task.add_done_callback(partial(self._done, key))
        return await asyncio.shield(task)

    async def _read(self, feed: Feed, channel: str, offset: int) -> list[Publication]:
        async with self._turn:
            return await feed.after(channel, offset, limit=PIECE_ENTRIES, max_bytes=PIECE_BYTES)

    def _done(self, key: Hashable, task: "asyncio.Task[list[Publication]]") -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # it may be that nobody waits for it any more
