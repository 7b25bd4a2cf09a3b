"""The housekeeping of a hub process: deadlines of all sessions by one clock, and presence kept alive."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from realtime.hub import Hub
from realtime.ports import Bus, Presence
from realtime.session import Session
from realtime.stats import Stats
from realtime.wheel import Wheel

log = structlog.get_logger(__name__)

TICK_S: Final = 0.5
PRESENCE_REFRESH_S: Final = 25.0


class Keeper:
    """Calls every session when something of its is due, and renews presence before it runs out."""

    def __init__(self, hub: Hub, bus: Bus, presence: Presence, stats: Stats, monotonic: Callable[[], float]) -> None:
        self._hub = hub
        self._bus = bus
        self._presence = presence
        self._stats = stats
        self._monotonic = monotonic
        self._wheel: Wheel[Session] = Wheel(now=monotonic(), resolution_s=TICK_S)

    def wake(self, session: Session, at_s: float) -> None:
        """Have the session's `tick` called at a monotonic time (infinity: never)."""
        if at_s != float("inf"):
            self._wheel.schedule(session, at_s)

    async def run(self) -> None:
        """Keep house until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._turn_wheel())
            group.create_task(self._keep_presence())
            group.create_task(self._take_leave())

    async def _turn_wheel(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for session in self._wheel.advance(self._monotonic()):
                due_at = session.tick()
                if due_at is not None:
                    self.wake(session, due_at)
            self._look_at_bus()
            self._hub.hot.advance(self._monotonic())

    def _look_at_bus(self) -> None:
        self._stats.bus_alive = int(self._bus.alive)
        self._stats.bus_dropped = self._bus.dropped
        self._stats.bus_queued_bytes = self._bus.queued_bytes
        self._stats.bus_bad = self._bus.bad
        for lag_s in self._bus.take_lags_s():
            self._stats.bus_lag.observe(lag_s)

    async def _keep_presence(self) -> None:
        while True:
            await asyncio.sleep(PRESENCE_REFRESH_S)
            entries = [
                (name, client, member.info(member.subscriptions[name]))
                for (name, client), member in self._hub.present.items()
            ]
            await _attempt("refresh", self._presence.refresh(entries))

    async def _take_leave(self) -> None:
        while True:
            for channel, client in await self._hub.departed.take():
                if (channel, client) in self._hub.present:
                    continue  # came back meanwhile
                if not await _attempt("remove", self._presence.remove(channel, client)):
                    break  # the others end by themselves, before it would be their turn


async def _attempt(operation: str, request: Awaitable[None]) -> bool:
    """Presence may fail as it likes, by mistakes of its server too: nobody loses a connection over it."""
    try:
        await request
    except (ConnectionError, TimeoutError):
        log.warning("presence_unavailable", operation=operation)
        return False
    except Exception:
        log.exception("presence_failed", operation=operation)
        return False
    return True
