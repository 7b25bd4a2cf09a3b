"""What a process hears from one Redis server: a subscriber that proves that it still hears.

Redis pub/sub loses messages without a word, and a frozen or replaced server looks like a quiet one. So the process
publishes a heartbeat to itself through the writer, and only what comes back counts as life. (Other messages put the
verdict off: a process that is behind with its reading must not be cut off from what it is still to read.)

A link goes through phases: its own channels first, and not before a heartbeat was heard on them the others (many: a
server that does not answer is not asked for them again and again). It is up when a heartbeat has come back that was
sent after the last of these was confirmed. Losing a link that was up begins a new epoch: deliveries may have been
lost, and the owner is told as soon as the link is up again, when looking for them makes sense.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final

import hiredis
import structlog

from realtime.redis.address import Address
from realtime.redis.backoff import Backoff, is_news
from realtime.redis.connection import Connection, dial, pack
from realtime.redis.settings import RedisSettings

log = structlog.get_logger(__name__)

_MESSAGE: Final = b"message"

KEPT_LAGS: Final = 32
"""Of heartbeats whose times nobody has asked for yet."""


class Phase(Enum):
    AWAY = "away"
    PROVING = "proving"
    """Own channels are asked for; no heartbeat has been heard yet."""
    SUBSCRIBING = "subscribing"
    """The other channels are asked for, in chunks."""
    CONFIRMING = "confirming"
    """All are confirmed; a heartbeat sent after that is on its way."""
    UP = "up"


class Link:
    """The subscriber of one server. `run` is its task; everything else returns at once.

    Channels are known by their Redis name (bytes) and kept with the name that `on_message` gets them by.
    """

    def __init__(
        self,
        address: Address,
        *,
        client_name: str,
        heartbeat: bytes,
        own: Iterable[bytes],
        send: Callable[[bytes, bytes], None],
        on_message: Callable[[str, bytes], None],
        on_control: Callable[[bytes], None],
        on_up: Callable[[list[str]], None],
        settings: RedisSettings,
    ) -> None:
        """`heartbeat` is the channel that `send(channel, message)` publishes on through the writer of this server;
        `own` are the channels whose messages go to `on_control`. `on_up` gets the channels with a possible loss."""
        self._address = address
        self._client_name = client_name
        self._heartbeat = heartbeat
        # The heartbeat's channel is the last one: who hears on it hears on the others too.
        self._own = (*own, heartbeat)
        self._send = send
        self._on_message = on_message
        self._on_control = on_control
        self._on_up = on_up
        self._settings = settings
        self._backoff = Backoff(
            first_s=settings.backoff_first_s, most_s=settings.backoff_most_s, random=settings.random
        )
        self._channels: dict[bytes, str] = {}
        self._connection: Connection | None = None
        self._phase = Phase.AWAY
        # Names that the server is still to be told of; whether it is to subscribe or not is decided when it is told.
        self._pending: deque[bytes] = deque()
        self._pumping = False
        # Channels named in commands and channels confirmed, on this connection. Redis confirms each one, in order.
        self._asked = 0
        self._confirmed = 0
        # What ends the phase: SUBSCRIBING when so many are confirmed, CONFIRMING when this heartbeat was heard.
        self._goal = 0
        self._proof = 0
        self._beats = 0
        self._beat_at = 0.0
        self._lags_s: deque[float] = deque(maxlen=KEPT_LAGS)
        # For how long nothing at all was heard, and for how long no heartbeat was.
        self._silence_s = 0.0
        self._overdue_s = 0.0
        self._waiting_beats: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._waiting_settled: deque[tuple[int, asyncio.Future[bool]]] = deque()
        self._told_away: set[str] = set()
        self.epoch = 0
        """How often continuity was lost."""
        self.connects = 0
        self.received = 0

    @property
    def up(self) -> bool:
        return self._phase is Phase.UP

    def __contains__(self, name: object) -> bool:
        return name in self._channels

    def subscribe(self, name: bytes, channel: str) -> None:
        """Repeated, it does nothing."""
        if name not in self._channels:
            self._channels[name] = channel
            self._tell_soon(name)

    def unsubscribe(self, name: bytes) -> None:
        """Unknown, it does nothing."""
        if self._channels.pop(name, None) is not None:
            self._tell_soon(name)

    async def settled(self) -> bool:
        """Wait until the server has confirmed all subscriptions asked for so far. False at once, or as soon as the
        connection ends, where there is none that works. No end of its own: the caller bounds it."""
        if self._phase in {Phase.AWAY, Phase.PROVING}:
            return False
        goal = self._asked + len(self._pending)
        if self._confirmed >= goal:
            return True
        settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting_settled.append((goal, settled))
        return await settled

    async def round_trip_s(self) -> float:
        """From here through the writer and Redis back to here. Raises ConnectionError where the link is not up or ends.

        No end of its own: the caller bounds it.
        """
        if not self.up:
            raise ConnectionError(f"the bus at {self._address.identity} is {self._phase.value}")
        started = self._settings.monotonic()
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting_beats.append((self._beat(), heard))
        await heard
        return self._settings.monotonic() - started

    async def run(self) -> None:
        """Connect, listen, start over; until cancelled."""
        while True:
            try:
                connection = await dial(
                    self._address, self, client_name=self._client_name, timeout_s=self._settings.connect_timeout_s
                )
            except OSError as error:
                self._report_away(str(error) or type(error).__name__)
            else:
                try:
                    await self._listen(connection)
                finally:
                    self._detach(connection)
                self._report_away(connection.reason)
            await asyncio.sleep(self._backoff.next_s())

    # --- for the connection ---

    def on_replies(self, next_reply: Callable[[], object]) -> None:
        self._silence_s = 0.0
        channels, on_message, received = self._channels, self._on_message, 0
        while (reply := next_reply()) is not False:
            if not isinstance(reply, list) or len(reply) != 3:
                self._on_odd_reply(reply)
                continue
            kind, name, message = reply
            if kind == _MESSAGE:
                received += 1
                channel = channels.get(name)
                if channel is not None:
                    on_message(channel, message)
                elif name == self._heartbeat:
                    self._on_heartbeat(message)
                elif name in self._own:
                    self._on_control(message)
            else:
                self._confirmed += 1
                if name == self._heartbeat:
                    self._beat()  # the first one does not wait for its time
        self.received += received
        self._note_confirmed()

    def on_writable(self) -> None:
        self._pump()

    # --- life ---

    async def _listen(self, connection: Connection) -> None:
        """Stay with a connection until it ends or is silent for too long."""
        self._connection = connection
        self._phase = Phase.PROVING
        self.connects += 1
        self._silence_s = self._overdue_s = 0.0
        self._asked, self._confirmed = len(self._own), 0
        connection.write(pack((b"SUBSCRIBE", *self._own)))
        interval_s = self._settings.heartbeat_interval_s
        while not connection.closed.done():
            await asyncio.wait((connection.closed,), timeout=interval_s)
            # Counted in turns of this loop, not by the clock: a process that was itself too busy to read hears first.
            self._silence_s += interval_s
            self._overdue_s += interval_s
            if self._silence_s >= self._settings.dead_after_s:
                connection.abort("silent")
            elif self._overdue_s >= self._settings.heartbeat_overdue_s:
                connection.abort("no heartbeat came back")
            else:
                self._beat()

    def _beat(self) -> int:
        self._beats += 1
        self._beat_at = self._settings.monotonic()
        self._send(self._heartbeat, b"%d" % self._beats)
        return self._beats

    def _on_heartbeat(self, message: bytes) -> None:
        if not message.isdigit() or len(message) > 20:
            return
        self._overdue_s = 0.0
        beat = int(message)
        if beat == self._beats:
            self._lags_s.append(self._settings.monotonic() - self._beat_at)
        while self._waiting_beats and self._waiting_beats[0][0] <= beat:
            _, heard = self._waiting_beats.popleft()
            if not heard.done():
                heard.set_result(None)
        if self._phase is Phase.PROVING:
            self._phase = Phase.SUBSCRIBING
            self._pending = deque(self._channels)
            self._goal = self._asked + len(self._pending)
            self._pump()
        elif self._phase is Phase.CONFIRMING and beat >= self._proof:
            self._rise()

    def take_lags_s(self) -> list[float]:
        """How long each of the last heartbeats took to come back."""
        lags_s = list(self._lags_s)
        self._lags_s.clear()
        return lags_s

    def _note_confirmed(self) -> None:
        while self._waiting_settled and self._waiting_settled[0][0] <= self._confirmed:
            _, settled = self._waiting_settled.popleft()
            if not settled.done():
                settled.set_result(True)
        if self._phase is Phase.SUBSCRIBING and self._confirmed >= self._goal:
            self._phase = Phase.CONFIRMING
            self._proof = self._beat()

    def _rise(self) -> None:
        self._phase = Phase.UP
        self._backoff.reset()
        log.info("bus_link_up", server=self._address.identity, channels=len(self._channels), epoch=self.epoch)
        self._told_away.clear()
        if self.epoch or self._channels:
            self._on_up(list(self._channels.values()))

    def _detach(self, connection: Connection) -> None:
        connection.abort("detached")
        if self.up:
            self.epoch += 1
        self._phase = Phase.AWAY
        self._connection = None
        self._pending.clear()
        while self._waiting_settled:
            _, settled = self._waiting_settled.popleft()
            if not settled.done():
                settled.set_result(False)
        while self._waiting_beats:
            _, heard = self._waiting_beats.popleft()
            if not heard.done():
                heard.set_exception(ConnectionError(f"the bus at {self._address.identity} was lost"))

    def _report_away(self, reason: str) -> None:
        if is_news(reason, self._told_away):
            log.warning("bus_link_away", server=self._address.identity, reason=reason, epoch=self.epoch)

    def _on_odd_reply(self, reply: object) -> None:
        # A refused SUBSCRIBE confirms none of its channels. Trying again is all that can be done here.
        if self._connection is not None:
            text = str(reply) if isinstance(reply, hiredis.ReplyError) else f"unexpected {type(reply).__name__}"
            self._connection.abort(text)

    # --- subscriptions ---

    def _tell_soon(self, name: bytes) -> None:
        if self._phase in {Phase.AWAY, Phase.PROVING}:
            return  # all channels are asked for when the link gets there
        self._pending.append(name)
        self._pump_soon()

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Tell the server of one chunk; the next one follows after others had a turn."""
        self._pumping = False
        connection = self._connection
        if connection is None or not connection.writable or not self._pending:
            return
        chunk = [self._pending.popleft() for _ in range(min(len(self._pending), self._settings.subscribe_chunk))]
        self._tell(connection, b"SUBSCRIBE", [name for name in chunk if name in self._channels])
        self._tell(connection, b"UNSUBSCRIBE", [name for name in chunk if name not in self._channels])
        if self._pending:
            self._pump_soon()

    def _tell(self, connection: Connection, command: bytes, names: Sequence[bytes]) -> None:
        if names:
            self._asked += len(names)
            connection.write(pack((command, *names)))
