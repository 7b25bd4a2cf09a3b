"""Which devices are connected here and what they have: written to Redis behind them, for the worker that decides what
rings.

A device that is connected is told of again with every pong, so what is lost comes back by itself within a ping's time;
until then a device counts as gone, or as not having something, and is rung once too often.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from msgspec.structs import replace

from chat.vocabulary import render
from realtime.ports import DeviceConnections, DeviceNews

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 0.5
LAST_WRITE_S: Final = 1.0
MAX_WAITING: Final = 50_000
TTL_S: Final = 60.0


def ttl_s(ping_interval_s: float, pong_timeout_s: float) -> float:
    """How long a device that nobody tells of counts as connected: longer than a pong may be away from the next."""
    return max(TTL_S, 2 * ping_interval_s + pong_timeout_s)


class DevicesOnline:
    """Implements `Attendance`. News wait for at most `INTERVAL_S`, that of an end for nothing but the write before.

    Bound: `MAX_WAITING` sessions; news of further ones are dropped, as are those whose server is away.
    """

    def __init__(self, connections: DeviceConnections, *, ttl_s: float) -> None:
        self._connections = connections
        self._ttl_s = ttl_s
        self._waiting: dict[tuple[str, bool], DeviceNews] = {}
        self._urgent = asyncio.Event()
        self._losing = False

    def follows(self, channel: str) -> bool:
        return channel.startswith(render.CONVERSATION_PREFIX)

    def say(self, news: DeviceNews) -> None:
        over = news.ended_at is not None
        before = self._waiting.get((news.session, False))
        if before is not None and not over:
            news = replace(news, began=before.began or news.began)
        elif len(self._waiting) >= MAX_WAITING:
            self._lost(1)
            return
        self._waiting[news.session, over] = news
        if over:
            self._urgent.set()

    async def write_until_cancelled(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._urgent.wait()
            try:
                await self.write()
            except Exception:
                log.exception("devices_not_told")

    async def write(self) -> None:
        """Tell of everything that waits."""
        self._urgent.clear()
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        left = await self._connections.put([_by_conversation(one) for one in waiting.values()], ttl_s=self._ttl_s)
        if left:
            self._lost(len(left))
        elif self._losing:
            self._losing = False
            log.info("devices_told_again")

    def _lost(self, sessions: int) -> None:
        """Said once, until all is well again."""
        if not self._losing:
            self._losing = True
            log.warning("devices_not_told", sessions=sessions)


@asynccontextmanager
async def open_devices_online(connections: DeviceConnections, *, ttl_s: float) -> AsyncIterator[DevicesOnline]:
    """While inside, write; once more at the end, when all sessions have ended."""
    online = DevicesOnline(connections, ttl_s=ttl_s)
    task = asyncio.create_task(online.write_until_cancelled(), name="devices-online")
    try:
        yield online
    finally:
        task.cancel()
        await asyncio.wait([task])
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITE_S):
                await online.write()


def _by_conversation(news: DeviceNews) -> DeviceNews:
    confirmed = {name.removeprefix(render.CONVERSATION_PREFIX): offset for name, offset in news.confirmed.items()}
    return replace(news, confirmed=confirmed)
