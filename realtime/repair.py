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
"""Channels that are read at once: so many with a durable log, and so many of Redis, where one kind may be stuck while
the other is not.
"""

POLLED_PER_S: Final = 2000
AWAY_PER_S: Final = 20_000
"""Channels that moved, on any process, that polls look at in a second in the long run: at about 20 µs each. Where more
move, polls come less often, and a loss that nothing else reveals is found later. While the bus is away, polls are all
there is.
"""


def poll_wait_s(interval_s: float, polled: int, *, alive: bool) -> float:
    """How long to wait after a poll that looked at so many channels."""
    return max(interval_s, polled / POLLED_PER_S) if alive else max(interval_s / 2, polled / AWAY_PER_S)


class Repair:
    """Brings the cursors of this process's channels forward to where the feeds are.

    Bounds: `CONCURRENT` channels of a kind at once; a channel has at most one task. With the store away a task stays
    and tries again every `RETRY_S`.
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
        self._log_turns = asyncio.Semaphore(CONCURRENT)
        self._stream_turns = asyncio.Semaphore(CONCURRENT)
        # Channels with a task -> whether there is news since it began to read.
        self._working: dict[Channel[Member], bool] = {}

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
            group.create_task(self._serve_gaps(group))
            group.create_task(self._settle())
            group.create_task(self._poll())

    async def _serve_gaps(self, group: asyncio.TaskGroup) -> None:
        while True:
            channels = await self._hub.gaps.take()
            await asyncio.sleep(REORDER_WAIT_S)
            for channel in channels:
                if channel not in self._working:
                    group.create_task(self._work_on(channel))
                self._working[channel] = True

    async def _work_on(self, channel: Channel[Member]) -> None:
        turns = self._stream_turns if isinstance(channel.feed, StreamFeed) else self._log_turns
        try:
            while self._working[channel] and self._registered(channel):
                async with turns:
                    self._working[channel] = False
                    complete = await self._fill(channel)
                if not complete:
                    self._working[channel] = True
                    await asyncio.sleep(RETRY_S)
        finally:
            del self._working[channel]

    async def _fill(self, channel: Channel[Member]) -> bool:
        """Read on from the cursor until there is nothing newer. False: it is to be tried again."""
        while (feed := channel.feed) is not None and self._registered(channel):
            at = channel.offset
            try:
                publications = await self._reads.after(feed, channel.name, at)
            except LookupError:
                if channel.feed is feed:
                    self._hub.lose_positions(channel)
                return True
            except (ConnectionError, TimeoutError):
                log.warning("repair_waits", channel=channel.name)
                return False
            except Exception:
                # A fault with one channel is no reason to end the process, which would only meet it again.
                log.exception("repair_failed", channel=channel.name)
                return False
            self._hub.fill(channel, publications)
            if channel.offset == at:
                # What is held proves that there is more: this read was older than that.
                return not channel.held
        return True

    def _registered(self, channel: Channel[Member]) -> bool:
        return self._hub.channels.get(channel.name) is channel

    async def _settle(self) -> None:
        """Look once more at channels that were joined before the bus was proven to hear them."""
        while True:
            names = await self._hub.unsettled.take()
            settled = await self._bus.settled()
            for name in names:
                channel = self._hub.channels.get(name)
                if channel is not None and settled:
                    channel.settled = True
                    self._hub.gaps.put(channel)
                elif channel is not None:
                    self._hub.unsettled.put(name)
            if not settled:
                await asyncio.sleep(RETRY_S)

    async def _poll(self) -> None:
        """Compare cursors with the heads of whatever moved lately; more often while the bus is away."""
        polled = 0
        while True:
            try:
                async with asyncio.timeout(poll_wait_s(self._poll_interval_s, polled, alive=self._bus.alive)):
                    await self._poll_now.take()
            except TimeoutError:
                pass
            polled = 0
            try:
                moved, self._mark = await self._heads.changed_since(self._mark)
            except (ConnectionError, TimeoutError):
                continue
            polled = len(moved)
            for name, head in moved:
                channel = self._hub.channels.get(name)
                if channel is not None and channel.cursor is not None and channel.offset < head:
                    self._hub.gaps.put(channel)
