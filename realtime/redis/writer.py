"""What a process says to one Redis server's bus: a bounded queue and one pipelined connection. Nobody waits for it.

Messages put in one turn of the event loop leave in one write. Replies are only counted: those that are missing tell a
dead server from a quiet one, and how many messages an ended connection has perhaps lost.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import hiredis
import structlog

from realtime.redis.address import Address
from realtime.redis.backoff import Backoff, is_news
from realtime.redis.connection import Connection, dial, pack
from realtime.redis.settings import RedisSettings

log = structlog.get_logger(__name__)

WRITE_CHUNK_BYTES: Final = 64 << 10
"""Written to the transport at once. What is still in the queue can be dropped, what is in the transport cannot."""


@dataclass(slots=True)
class WriterCounts:
    """`dropped`: over the bounds. `lost`: the connection ended before their reply came. `refused`: by Redis."""

    published: int = 0
    dropped: int = 0
    lost: int = 0
    refused: int = 0


class Writer:
    """`publish` and `beat` never wait and never raise; `run` is the task that keeps them leaving."""

    def __init__(self, address: Address, *, client_name: str, settings: RedisSettings) -> None:
        self._address = address
        self._client_name = client_name
        self._settings = settings
        self._backoff = Backoff(
            first_s=settings.backoff_first_s, most_s=settings.backoff_most_s, random=settings.random
        )
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._beat = b""
        self._connection: Connection | None = None
        self._flushing = False
        self._unanswered = 0
        self._answered = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._told_away: set[str] = set()
        self.counts = WriterCounts()

    def publish(self, channel: bytes, message: bytes) -> None:
        """Put a message into the queue. Over its bounds the oldest messages are dropped and counted."""
        packed = pack((b"PUBLISH", channel, message))
        self._queue.append(packed)
        self._queued_bytes += len(packed)
        self.counts.published += 1
        if (
            self._queued_bytes > self._settings.outgoing_max_bytes
            or len(self._queue) > self._settings.outgoing_max_items
        ):
            self._shed()
        self._flush_soon()

    def beat(self, channel: bytes, message: bytes) -> None:
        """Send a heartbeat ahead of what is queued. Only the newest one waits."""
        self._beat = pack((b"PUBLISH", channel, message))
        self._flush_soon()

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    async def drained(self) -> None:
        """Wait until all that was published has been answered; at once where no server is connected.

        No end of its own: the caller bounds it.
        """
        if self._connection is not None:
            await self._idle.wait()

    async def run(self) -> None:
        """Connect, serve, start over; until cancelled."""
        while True:
            try:
                connection = await dial(
                    self._address, self, client_name=self._client_name, timeout_s=self._settings.connect_timeout_s
                )
            except OSError as error:
                self._report_away(str(error) or type(error).__name__)
            else:
                try:
                    await self._serve(connection)
                finally:
                    self._detach(connection)
                self._report_away(connection.reason)
            await asyncio.sleep(self._backoff.next_s())

    # --- for the connection ---

    def on_replies(self, next_reply: Callable[[], object]) -> None:
        answered = 0
        while (reply := next_reply()) is not False:
            answered += 1
            if isinstance(reply, hiredis.ReplyError):
                self._refused(reply)
        self._answered += answered
        self._unanswered -= answered
        self._note_idle()

    def on_writable(self) -> None:
        self._flush()

    # --- inside ---

    async def _serve(self, connection: Connection) -> None:
        """Watch a connection until it ends, or ends up silent though it owes answers."""
        self._connection = connection
        self._report_back()
        self._flush()
        interval_s, silence_s = self._settings.heartbeat_interval_s, 0.0
        while not connection.closed.done():
            answered, owed = self._answered, self._unanswered
            await asyncio.wait((connection.closed,), timeout=interval_s)
            # Counted in turns of this loop, not by the clock: a process that was itself too busy to read hears first.
            silence_s = silence_s + interval_s if owed and answered == self._answered else 0.0
            if silence_s >= self._settings.dead_after_s:
                connection.abort("no answer")
            elif answered != self._answered:
                self._backoff.reset()

    def _detach(self, connection: Connection) -> None:
        connection.abort("detached")
        self._connection = None
        self.counts.lost += self._unanswered
        self._unanswered = 0
        self._note_idle()

    def _flush_soon(self) -> None:
        self._idle.clear()
        if not self._flushing and self._connection is not None:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        connection, queue = self._connection, self._queue
        if connection is None:
            return
        if self._beat:
            connection.write(self._beat)
            self._beat = b""
            self._unanswered += 1
        while queue and connection.writable:
            if self._queued_bytes <= WRITE_CHUNK_BYTES:
                chunk = list(queue)
                queue.clear()
                self._queued_bytes = 0
            else:
                chunk = self._take(WRITE_CHUNK_BYTES)
            self._unanswered += len(chunk)
            connection.write(b"".join(chunk))

    def _take(self, up_to_bytes: int) -> list[bytes]:
        chunk: list[bytes] = []
        taken_bytes = 0
        while self._queue and taken_bytes < up_to_bytes:
            packed = self._queue.popleft()
            taken_bytes += len(packed)
            chunk.append(packed)
        self._queued_bytes -= taken_bytes
        return chunk

    def _shed(self) -> None:
        settings = self._settings
        while self._queue and (
            self._queued_bytes > settings.outgoing_max_bytes or len(self._queue) > settings.outgoing_max_items
        ):
            self._queued_bytes -= len(self._queue.popleft())
            self.counts.dropped += 1

    def _note_idle(self) -> None:
        if not self._unanswered and not self._queue:
            self._idle.set()

    def _refused(self, error: hiredis.ReplyError) -> None:
        if not self.counts.refused:
            log.warning("bus_publish_refused", server=self._address.identity, error=str(error))
        self.counts.refused += 1

    def _report_away(self, reason: str) -> None:
        if is_news(reason, self._told_away):
            log.warning("bus_writer_away", server=self._address.identity, reason=reason)

    def _report_back(self) -> None:
        if self._told_away:
            self._told_away.clear()
            log.info("bus_writer_back", server=self._address.identity, dropped=self.counts.dropped)
