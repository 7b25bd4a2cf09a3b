"""Finds what the bus lost and reads it from the feeds. One mechanism for every kind of loss.

Three things lead here: a delivery that came with others missing before it, a channel whose durable head moved without a
delivery (the last one of a conversation has no successor to reveal its loss), and a bus that was away.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from realtime.backend import Heads
from realtime.channel import Channel
from realtime.hub import Hub, Member
from realtime.ports import Bus
from realtime.reads import SharedReads
from realtime.stats import Stats
from realtime.streamfeed import StreamFeed
from realtime.worklist import Worklist

log = structlog.get_logger(__name__)

REORDER_WAIT_S: Final = 0.05
"""How long a missing delivery may still come by itself: two processes' publications may overtake each other on the
bus.
"""

RETRY_S: Final = 1.0
CONCURRENT: Final = 16


class Repair:
    """Brings the cursors of this process's channels forward to where the feeds are.

    Bounds: `CONCURRENT` channels at once; a channel is on the list at most once. With the store away everything stays
    on the list and is tried again every `RETRY_S`.
    """

    def __init__(
        self, hub: Hub, bus: Bus, heads: Heads, reads: SharedReads, stats: Stats, *, poll_interval_s: float
    ) -> None:
        self._hub = hub
        self._bus = bus
        self._heads = heads
        self._reads = reads
        self._stats = stats
        self._poll_interval_s = poll_interval_s
        self._poll_now: Worklist[str] = Worklist()
        self._mark = ""

    def on_gap(self, channels: Sequence[str] | None) -> None:
        """The bus may have lost deliveries on these channels (None: on all)."""
        self._stats.bus_gaps += 1
        names = list(self._hub.channels) if channels is None else channels
        for name in names:
            channel = self._hub.channels.get(name)
            if channel is not None and isinstance(channel.feed, StreamFeed):
                self._hub.gaps.put(channel)
        self._poll_now.put("gap")

    async def run(self) -> None:
        """Serve gaps and poll the heads until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve_gaps())
            group.create_task(self._poll())

    async def _serve_gaps(self) -> None:
        turn = asyncio.Semaphore(CONCURRENT)

        async def fill(channel: Channel[Member]) -> None:
            async with turn:
                await self._fill(channel)

        while True:
            channels = await self._hub.gaps.take()
            await asyncio.sleep(REORDER_WAIT_S)
            await asyncio.gather(*map(fill, channels))

    async def _fill(self, channel: Channel[Member]) -> None:
        """Read on from the cursor until there is nothing newer."""
        while (feed := channel.feed) is not None and self._hub.channels.get(channel.name) is channel:
            at = channel.offset
            try:
                publications = await self._reads.after(feed, channel.name, at)
            except LookupError:
                self._hub.lose_positions(channel)
                return
            except (ConnectionError, TimeoutError):
                log.warning("repair_waits", channel=channel.name)
                asyncio.get_running_loop().call_later(RETRY_S, self._hub.gaps.put, channel)
                return
            self._hub.fill(channel, publications)
            if channel.offset == at:
                return

    async def _poll(self) -> None:
        """Compare cursors with the heads of whatever moved lately; more often while the bus is away."""
        while True:
            wait_s = self._poll_interval_s if self._bus.alive else self._poll_interval_s / 2
            try:
                async with asyncio.timeout(wait_s):
                    await self._poll_now.take()
            except TimeoutError:
                pass
            try:
                moved, self._mark = await self._heads.changed_since(self._mark)
            except (ConnectionError, TimeoutError):
                continue
            for name, head in moved:
                channel = self._hub.channels.get(name)
                if channel is not None and channel.cursor is not None and channel.offset < head:
                    self._hub.gaps.put(channel)
