"""A few connections to one place, and those who wait for a stream on one of them.

Who waits is here and not at a connection, so the end of a connection concerns only what was on it. Connections are made
when they are needed and kept; the next one when those that are there are full.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from hpack import HeaderTuple

from chat.push.apns.connection import Connection
from chat.push.apns.exchange import Exchange, Outcome, Unprocessed
from chat.push.apns.settings import ConnectionSettings

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect. `tls` is set to offer HTTP/2 and nothing else."""

    host: str
    port: int
    tls: ssl.SSLContext
    address: str = ""
    """Connect to this instead of what `host` resolves to."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """For metrics and the admin page."""

    connections: int
    in_flight: int
    waiting: int
    opened: int


class Pool:
    """`close` ends it, and everything in it."""

    def __init__(
        self,
        place: Place,
        settings: ConnectionSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place: Final = place
        self._settings: Final = settings
        self._monotonic: Final = monotonic
        self._connections: Final[list[Connection]] = []
        self._leaving: Final[list[Connection]] = []
        self._waiting: Final[deque[Exchange]] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._opened = 0
        self._closing = False

    @property
    def authority(self) -> str:
        """What requests go to, for `:authority`."""
        return self._place.host if self._place.port == 443 else f"{self._place.host}:{self._place.port}"

    @property
    def state(self) -> PoolState:
        return PoolState(
            len(self._connections),
            sum(connection.in_flight for connection in (*self._connections, *self._leaving)),
            len(self._waiting),
            self._opened,
        )

    async def request(self, headers: Sequence[HeaderTuple], body: bytes, *, timeout_s: float) -> Outcome:
        """One request, once. Takes at most `timeout_s`; safe to cancel, what came of it is unknown then.

        When `max_waiting` wait already, it is Unprocessed at once.
        """
        if self._closing:
            return Unprocessed("closing")
        if len(self._waiting) >= self._settings.max_waiting:
            return Unprocessed("busy")
        loop = asyncio.get_running_loop()
        exchange = Exchange(headers, body, loop.create_future())
        self._waiting.append(exchange)
        timer = loop.call_later(timeout_s, self._expire, exchange)
        try:
            self._pump()
            return await exchange.done
        finally:
            timer.cancel()
            self._withdraw(exchange, missed=False)

    async def close(self) -> None:
        """Take nothing more, wait up to `drain_s` for what is on its way, and close."""
        self._closing = True
        while self._waiting:
            self._waiting.popleft().end(Unprocessed("closing"))
        if (connecting := self._connecting) is not None:
            connecting.cancel()
            await asyncio.wait([connecting])
        for connection in list(self._connections):
            connection.drain()
        leaving = list(self._leaving)
        try:
            async with asyncio.timeout(self._settings.drain_s):
                for connection in leaving:
                    await connection.closed.wait()
        except TimeoutError:
            logger.info("apns_drain_timed_out", in_flight=self.state.in_flight)
        finally:
            for connection in leaving:
                connection.abort("closing")

    def _expire(self, exchange: Exchange) -> None:
        if exchange.done.done():
            return
        exchange.end(exchange.without_end("no_stream" if exchange.connection is None else "deadline"))
        self._withdraw(exchange, missed=True)

    def _withdraw(self, exchange: Exchange, *, missed: bool) -> None:
        """Nobody waits for it any more; nothing happens if it has ended."""
        if exchange.connection is not None:
            exchange.connection.abandon(exchange, missed=missed)
        elif exchange in self._waiting:
            self._waiting.remove(exchange)

    def _pump(self) -> None:
        """Put on its way what can be, and look for more room when that is not all."""
        while self._waiting:
            if self._waiting[0].done.done():
                # Cancelled, and about to be taken back.
                self._waiting.popleft()
                continue
            size = len(self._waiting[0].body)
            room, best = 0, None
            for connection in self._connections:
                if (its := connection.room(size)) > room:
                    room, best = its, connection
            if best is None:
                self._grow()
                return
            best.start(self._waiting.popleft())

    def _grow(self) -> None:
        if self._closing or self._connecting is not None or len(self._connections) >= self._settings.max_connections:
            return
        # A connection that has not proven itself yet may take one request only: more of the same would not help.
        if not all(connection.proven for connection in self._connections):
            return
        wait_s = self._not_before - self._monotonic()
        if wait_s <= 0:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(), name="apns-connect")
        elif not self._connections:
            self._turn_away(wait_s)

    def _turn_away(self, wait_s: float) -> None:
        while self._waiting:
            self._waiting.popleft().end(Unprocessed("unreachable", max(wait_s, 0.0)))

    async def _connect(self) -> None:
        place = self._place
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._settings.connect_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._settings, on_change=self._changed, monotonic=self._monotonic),
                    place.address or place.host,
                    place.port,
                    ssl=place.tls,
                    server_hostname=place.host,
                )
                await connection.ready
            if connection.draining:
                raise ConnectionError("gone at once")
            self._opened += 1
            self._connections.append(connection)
        except OSError as error:
            logger.warning("apns_connect_failed", host=place.host, error=type(error).__name__)
            self._failed()
        finally:
            self._connecting = None
            if connection is not None and connection not in self._connections:
                connection.abort("not_ready")
        self._pump()

    def _changed(self) -> None:
        for connection in [one for one in self._connections if one.draining]:
            self._connections.remove(connection)
            self._leaving.append(connection)
            if connection.proven:
                self._failures = 0
            else:
                self._failed()
        for connection in [one for one in self._leaving if one.closed.is_set()]:
            self._leaving.remove(connection)
        self._pump()

    def _failed(self) -> None:
        """A connection came to nothing: the next one waits, and who has no other is told so."""
        wait_s = min(self._settings.reconnect_s * 2**self._failures, self._settings.max_reconnect_s)
        # More would overflow, after a very long time.
        self._failures = min(self._failures + 1, 32)
        self._not_before = self._monotonic() + wait_s
        if not self._connections:
            self._turn_away(wait_s)
