"""What the engine asks of the world: small Protocols, written by their consumer.

`Bus`, `Streams`, `Presence` and `Processes` have one implementation each (realtime/redis). `Feed` and `Backend` are
implemented by the product: the engine never learns what a conversation is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from realtime.protocol.messages import ClientInfo, Publication
from realtime.protocol.recovery import Position


class Delivery(Struct, frozen=True, gc=False):
    """One thing that came over the bus for a channel. A Struct, as making one costs a tenth of what a dataclass does.

    `kind` is `pub`, `join` or `leave`. `publication.offset` is 0 where the channel has no stream (or for ephemeral
    publications); `epoch` is then empty. For `join`/`leave` only `publication.info` is set.
    `holder` is the process that published it and has it already, where the bus says so.
    """

    channel: str
    kind: str
    publication: Publication
    epoch: str = ""
    holder: str = ""


class BusListener(Protocol):
    """Receives what the bus hears. Called on the event loop, must not block and must not raise."""

    def on_delivery(self, delivery: Delivery) -> None: ...

    def on_control(self, payload: bytes) -> None:
        """A control message addressed to this process or to all (opaque to the bus)."""

    def on_gap(self, channels: Sequence[str] | None) -> None:
        """Deliveries may have been lost on these channels (None: on all). Called once the link is proven alive."""


class Bus(Protocol):
    """Best-effort delivery between processes. May lose, never reorders one channel's deliveries from one publisher.

    Nothing here waits for Redis: publishing puts into a bounded buffer (at the bound the oldest deliveries are dropped
    and counted; receivers repair from the log), subscribing is remembered and made true as soon as a server is there.
    """

    @property
    def alive(self) -> bool:
        """Whether every server's own heartbeat came back lately."""

    @property
    def dropped(self) -> int:
        """Deliveries that were never sent, because too many waited."""

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent at the moment."""

    @property
    def bad(self) -> int:
        """Messages heard that no version of this product sends, or a much newer one."""

    def take_lags_s(self) -> Sequence[float]:
        """From publishing to hearing, of each heartbeat that came back since the last call; only the newest ones."""

    def publish(self, delivery: Delivery, *, echo: bool = True) -> None:
        """`echo` False: this process has delivered it already, what comes back to it is dropped unread."""

    def control(self, payload: bytes, *, process: str | None = None) -> None:
        """Send a control message to one process, or to all (this one included)."""

    def subscribe(self, channel: str) -> None: ...

    def unsubscribe(self, channel: str) -> None:
        """Lazily: the server is told after a while, so that a reconnecting client costs nothing."""

    async def settled(self) -> bool:
        """Wait, at most a second, until all subscriptions asked for so far are in force: what is read from a log
        after that leaves no hole. False: a server is away or slow; there may be one until `on_gap` or a later look."""

    async def ping_ms(self) -> float:
        """Round trip of the slowest server. Raises ConnectionError or TimeoutError within a second."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How much of a channel's stream is kept: `size` publications, until `ttl_s` seconds after the newest; the position
    for `meta_ttl_s` after it was last used."""

    size: int
    ttl_s: int
    meta_ttl_s: int = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class StreamPage:
    """A read of a stream: `publications` ascending (descending if `reverse` was asked) and the present position."""

    publications: list[Publication]
    position: Position


class Streams(Protocol):
    """Short histories of plain channels, kept in Redis. Every call has a deadline (<= 1 s) and raises ConnectionError
    or TimeoutError when Redis is away; a publish that raised may or may not have happened."""

    async def publish(
        self, channel: str, publication: Publication, options: StreamOptions, *, idempotency_key: str = ""
    ) -> Position:
        """Append and publish atomically, to every process and this one. `publication.offset` is ignored: the answer
        tells the one it got.

        The same key within five minutes answers with the first position and publishes nothing.
        """

    async def publish_once(self, delivery: Delivery, *, idempotency_key: str) -> bool:
        """Publish without history, to every process and this one, once per key within five minutes. False: it had been
        published already.
        """

    async def read(
        self, channel: str, options: StreamOptions, *, since: Position | None, limit: int, reverse: bool
    ) -> StreamPage:
        """`limit` 0: only the position; -1: all. A stream that never existed gets its epoch here.

        `since` is exclusive. With another epoch than the stream's it finds nothing: compare `position.epoch`. An empty
        epoch matches.
        """

    async def remove(self, channel: str) -> None:
        """Forget the publications, keep the position."""


class Presence(Protocol):
    """Who is there. Best effort; a killed process is forgotten when its lease ends.

    Channel presence: client id -> ClientInfo, kept alive by the hub's periodic `refresh`.
    User presence: which users have a connection anywhere, by the lease of the process that holds it.
    """

    async def add(self, channel: str, client: str, info: ClientInfo) -> None: ...

    async def remove(self, channel: str, client: str) -> None: ...

    async def refresh(self, entries: Iterable[tuple[str, str, ClientInfo]]) -> None:
        """Renew (channel, client, info) of live subscriptions, pipelined in chunks."""

    async def of_channel(self, channel: str, *, limit: int) -> dict[str, ClientInfo]:
        """Raises OverflowError when more than `limit` are present."""

    async def stats(self, channel: str) -> tuple[int, int]:
        """(clients, users)"""

    def user_online(self, user: str) -> None:
        """The first connection of a user on this process. Batched, never waits."""

    def user_offline(self, user: str) -> None:
        """The last connection of a user on this process is gone. Batched, never waits."""

    async def online(self, users: Sequence[str]) -> set[str]:
        """Which of these have a connection on any live process."""


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A hub process as the others see it. `snapshot` is JSON made by the owner (counts for admin and `info`)."""

    process: str
    node: str
    snapshot: bytes


class DeviceNews(Struct, frozen=True):
    """What a session says of the device that it is of. `began`: it is the device's latest; `ended_at` (ms UTC): it is
    over; neither: its peer is there. `confirmed`: what the peer has, an offset by name, the latest last.
    """

    user: str
    device: str
    session: str
    began: bool = False
    ended_at: int | None = None
    confirmed: Mapping[str, int] = {}


class DeviceConnection(Struct, frozen=True):
    """What is known of a device. `ended_at`: when its connection was over (ms UTC), None while it is connected.
    `confirmed`: an offset by name, where something was confirmed lately.
    """

    ended_at: int | None
    confirmed: Mapping[str, int]


class DeviceConnections(Protocol):
    """Remembers devices for a while, over all processes."""

    async def put(self, news: Sequence[DeviceNews], *, ttl_s: float) -> Sequence[DeviceNews]:
        """In this order. Returns what could not be written."""


class Attendance(Protocol):
    """Hears of devices' connections. Implemented by the product; its methods neither block nor raise."""

    def follows(self, channel: str) -> bool:
        """Whether it is of interest how far devices have this channel."""

    def say(self, news: DeviceNews) -> None: ...


class Processes(Protocol):
    """The lease of this process and the list of the living."""

    async def living(self) -> list[ProcessInfo]: ...

    def set_snapshot(self, snapshot: bytes) -> None:
        """What goes out with the next renewal of the lease (every second or so)."""


class Feed(Protocol):
    """Reads what a positioned channel has durably. Implemented by the product (conversation logs) and over Streams."""

    async def after(self, channel: str, offset: int, *, limit: int, max_bytes: int) -> list[Publication]:
        """The publications that follow `offset`, ascending and without a hole: at most `limit`, as many as fit
        `max_bytes`, but at least one where there is one. Empty: there is nothing newer.

        Raises LookupError when the stream no longer has what follows, ConnectionError/TimeoutError when it is away.
        """
