"""Which devices are connected here and what they have: written to Redis behind them, for the worker that decides what
rings.

Until it is written a device counts as gone, or as not having something, and is rung once too often.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from msgspec.structs import replace

from chat.vocabulary import render
from realtime.ports import DeviceConnections, DeviceNews

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 0.5
RETRY_S: Final = 1.0
LAST_WRITE_S: Final = 1.0
MAX_WAITING: Final = 50_000
TTL_S: Final = 60.0


def ttl_s(ping_interval_s: float, pong_timeout_s: float) -> float:
    """How long a device that nobody tells of counts as connected: longer than a pong may be away from the next."""
    return max(TTL_S, 2 * ping_interval_s + pong_timeout_s)


class DevicesOnline:
    """Implements `Attendance`. News wait for at most `INTERVAL_S`, that of an end for nothing but the write before;
    what a server is away for waits until it is back, unless it is over by then.

    Bound: what waits, `MAX_WAITING`. Beyond it news of further sessions are dropped; those that go on are told of again
    after their next ping.
    """

    def __init__(self, connections: DeviceConnections, *, ttl_s: float, clock_ms: Callable[[], int]) -> None:
        self._connections = connections
        self._ttl_s = ttl_s
        self._clock_ms = clock_ms
        self._waiting: dict[tuple[str, bool], DeviceNews] = {}
        self._urgent = asyncio.Event()
        self._behind = False

    def follows(self, channel: str) -> bool:
        return channel.startswith(render.CONVERSATION_PREFIX)

    def say(self, news: DeviceNews) -> None:
        self._note(_by_conversation(news))
        if news.ended_at is not None:
            self._urgent.set()

    def _note(self, news: DeviceNews) -> None:
        over = news.ended_at is not None
        before = self._waiting.get((news.session, False))
        if before is not None and not over:
            news = replace(news, began=before.began or news.began)
        elif len(self._waiting) >= MAX_WAITING:
            self._complain(1)
            return
        self._waiting[news.session, over] = news

    async def write_until_cancelled(self) -> None:
        while True:
            if self._behind:
                await asyncio.sleep(RETRY_S)
            else:
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
        left = await self._connections.put(list(waiting.values()), ttl_s=self._ttl_s)
        if left:
            self._complain(len(left))
            self._keep(left)
        elif self._behind:
            self._behind = False
            log.info("devices_told_again")

    def _keep(self, left: Iterable[DeviceNews]) -> None:
        newer, self._waiting = self._waiting, {}
        forgotten_at = self._clock_ms() - self._ttl_s * 1000
        for one in (*left, *newer.values()):
            if one.ended_at is None or one.ended_at > forgotten_at:
                self._note(one)

    def _complain(self, sessions: int) -> None:
        """Said once, until all is well again."""
        if not self._behind:
            self._behind = True
            log.warning("devices_not_told", sessions=sessions)


@asynccontextmanager
async def open_devices_online(
    connections: DeviceConnections, *, ttl_s: float, clock_ms: Callable[[], int]
) -> AsyncIterator[DevicesOnline]:
    """While inside, write; once more at the end, when all sessions have ended."""
    online = DevicesOnline(connections, ttl_s=ttl_s, clock_ms=clock_ms)
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
