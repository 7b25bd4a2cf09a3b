"""The bus: deliveries and control messages between processes, over a list of plain Redis servers.

Each channel lives on one server of the list. Every process listens on all servers: to the channels it has subscribers
for, to its own control channel, and to the one for all.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from realtime.ports import BusListener, Delivery
from realtime.redis import envelope
from realtime.redis.address import Address
from realtime.redis.keys import Keys
from realtime.redis.link import Link
from realtime.redis.routing import Routing
from realtime.redis.settings import RedisSettings
from realtime.redis.writer import Writer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BusStats:
    """Counts since the start, and gauges (`up`, `servers`, `queued_bytes`) of this moment."""

    servers: int
    up: int
    queued_bytes: int
    published: int
    received: int
    dropped: int
    """Deliveries that were never sent: the bound of the queue was reached."""
    lost: int
    """Sent, but the connection ended before Redis answered: may have arrived or not."""
    refused: int
    bad: int
    """Poison heard."""
    gaps: int
    """Times that a server's link lost continuity."""
    connects: int


class RedisBus:
    """Implements the port `Bus`. Its tasks are run by whoever opens it (see `opening`)."""

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        keys: Keys,
        routing: Routing,
        process: str,
        listener: BusListener,
        settings: RedisSettings,
    ) -> None:
        self._keys = keys
        self._routing = routing
        self._process = process
        self._own = process.encode()
        self._listener = listener
        self._settings = settings
        # Channels nobody here listens to any more -> when to tell the server. In order of time, as the delay is one.
        self._leaving: dict[str, float] = {}
        self._bad = 0
        self._complaint_due_at_s = 0.0
        self._all_control = keys.all_control
        self._heartbeat = keys.heartbeat(process)
        self.writers = [Writer(address, client_name=f"{process}:bus-out", settings=settings) for address in addresses]
        self.links = [self._link(address, index) for index, address in enumerate(addresses)]

    @property
    def alive(self) -> bool:
        for link in self.links:  # noqa: SIM110 - asked for every message; a generator costs more than all links
            if not link.up:
                return False
        return True

    @property
    def dropped(self) -> int:
        return sum(writer.counts.dropped for writer in self.writers)

    @property
    def queued_bytes(self) -> int:
        return sum(writer.queued_bytes for writer in self.writers)

    @property
    def bad(self) -> int:
        return self._bad

    def take_lags_s(self) -> list[float]:
        return [lag_s for link in self.links for lag_s in link.take_lags_s()]

    def publish(self, delivery: Delivery, *, echo: bool = True) -> None:
        message = envelope.encode(delivery, holder="" if echo else self._process)
        self.writers[self._routing.server_of(delivery.channel)].publish(self._keys.channel(delivery.channel), message)

    def control(self, payload: bytes, *, process: str | None = None) -> None:
        name = self._all_control if process is None else self._keys.process_control(process)
        self._control_writer(name).publish(name, payload)

    def subscribe(self, channel: str) -> None:
        if self._leaving.pop(channel, None) is None:
            self._link_of(channel).subscribe(self._keys.channel(channel), channel)

    def unsubscribe(self, channel: str) -> None:
        if self._keys.channel(channel) in self._link_of(channel):
            self._leaving.setdefault(channel, self._settings.monotonic() + self._settings.unsubscribe_after_s)

    async def settled(self) -> bool:
        try:
            async with asyncio.timeout(self._settings.call_timeout_s):
                return all([await link.settled() for link in self.links])
        except TimeoutError:
            return False

    async def ping_ms(self) -> float:
        async with asyncio.timeout(self._settings.call_timeout_s):
            return max([await link.round_trip_s() for link in self.links]) * 1000

    def stats(self) -> BusStats:
        writers, links = self.writers, self.links
        return BusStats(
            servers=len(links),
            up=sum(link.up for link in links),
            queued_bytes=self.queued_bytes,
            published=sum(writer.counts.published for writer in writers),
            received=sum(link.received for link in links),
            dropped=self.dropped,
            lost=sum(writer.counts.lost for writer in writers),
            refused=sum(writer.counts.refused for writer in writers),
            bad=self._bad,
            gaps=sum(link.epoch for link in links),
            connects=sum(link.connects for link in links),
        )

    async def leave_idle_channels(self) -> None:
        """The task behind lazy unsubscribing: one look at the oldest now and then. Runs until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self._settings.unsubscribe_after_s / 4))
            now = self._settings.monotonic()
            due = []
            for channel, due_at_s in self._leaving.items():
                if due_at_s > now:
                    break
                due.append(channel)
            for channel in due:
                del self._leaving[channel]
                self._link_of(channel).unsubscribe(self._keys.channel(channel))

    async def drained(self) -> None:
        """Wait until what was published so far has been answered. No end of its own: the caller bounds it."""
        for writer in self.writers:
            await writer.drained()

    # --- inside ---

    def _link(self, address: Address, index: int) -> Link:
        def on_up(channels: list[str]) -> None:
            try:
                self._listener.on_gap(channels if len(self.links) > 1 else None)
            except Exception:
                log.exception("bus_listener_failed", call="on_gap")

        return Link(
            address,
            client_name=f"{self._process}:bus-in",
            heartbeat=self._heartbeat,
            own=(self._keys.process_control(self._process), self._all_control),
            send=self.writers[index].beat,
            on_message=self._on_message,
            on_control=self._on_control,
            on_up=on_up,
            settings=self._settings,
        )

    def _link_of(self, channel: str) -> Link:
        return self.links[self._routing.server_of(channel)]

    def _control_writer(self, name: bytes) -> Writer:
        """Any server carries control messages, as every process listens on all: one that works, if there is one."""
        first = self._routing.server_of(name.decode())
        for index in range(first, first + len(self.links)):
            if self.links[index % len(self.links)].up:
                return self.writers[index % len(self.links)]
        return self.writers[first]

    def _on_message(self, channel: str, message: bytes) -> None:
        if channel in self._leaving:
            return
        if len(message) > self._settings.incoming_max_bytes:
            self._on_poison("too long", len(message))
            return
        try:
            delivery = envelope.decode(channel, message, own=self._own)
        except envelope.EnvelopeError as error:
            self._on_poison(str(error), len(message))
            return
        if delivery is None:
            return
        try:
            self._listener.on_delivery(delivery)
        except Exception:
            log.exception("bus_listener_failed", call="on_delivery")

    def _on_control(self, payload: bytes) -> None:
        try:
            self._listener.on_control(payload)
        except Exception:
            log.exception("bus_listener_failed", call="on_control")

    def _on_poison(self, error: str, size_bytes: int) -> None:
        self._bad += 1
        now = self._settings.monotonic()
        if now >= self._complaint_due_at_s:
            self._complaint_due_at_s = now + self._settings.complain_every_s
            log.warning("bus_poison", error=error, size_bytes=size_bytes, so_far=self._bad)
