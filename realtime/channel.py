"""One channel on one hub process: who listens here, what came in order, what still waits to be sent.

Deliveries of a positioned channel go out strictly in the order of their offsets: the next one at once, an older one
never, a later one when the missing ones have been read from the durable feed. Publications that arrive together are
encoded once per codec and joined into frames, and the same bytes go to every socket.
"""

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from os import write
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from realtime.outbox import Priority
from realtime.ports import Delivery, Feed
from realtime.protocol.codec import Codec
from realtime.protocol.frames import frame
from realtime.protocol.messages import EMPTY, ClientInfo, Join, Leave, Payload, Publication, Push
from realtime.protocol.recovery import Arrival, Cursor

MAX_FRAME_BYTES: Final = 64 * 1024
"""Frames to a client are at most this large (a single publication may exceed it), so that pings keep their turn."""

MAX_HELD: Final = 256
"""Deliveries that may wait for missing ones. Beyond it they are dropped: the feed has them all."""


class Receiver(Protocol):
    """A session, as a channel sees it."""

    @property
    def codec(self) -> Codec: ...

    @property
    def fd(self) -> int:
        """Its socket, while everything that was written before has gone there: then a frame may be written to it
        directly, and whatever it does not take is handed to `write` at once. -1 at all other times.
        """

    def write(self, ready_frame: bytes, priority: Priority) -> None:
        """Send or queue a ready frame; never blocks, never raises. A receiver that is too slow ends itself."""


R = TypeVar("R", bound=Receiver)


class Accepted(Enum):
    """What became of a delivery."""

    TAKEN = auto()
    DUPLICATE = auto()
    HELD = auto()
    """Something before it is missing: the feed must be read."""
    OTHER_EPOCH = auto()
    """The stream was restarted: positions of this channel mean nothing any more."""


class Subscription(Struct, frozen=True):
    """How one session has one channel. Shared between sessions wherever it says the same, so that twenty cost little.

    `server_side` and `client_side` may both hold: a client-side subscribe to a channel that the session was given by
    the server is accepted, its publications still come once. `expire_at` is wall-clock seconds.
    """

    server_side: bool
    client_side: bool
    positioned: bool = False
    recoverable: bool = False
    presence: bool = False
    join_leave: bool = False
    push_join_leave: bool = False
    chan_info: Payload = EMPTY
    expire_at: float | None = None


SERVER_SIDE: Final = Subscription(server_side=True, client_side=False, positioned=True, recoverable=True)
"""What nearly every conversation of nearly every session is; one object for all of them."""


class Told(Struct):
    """What a flush handed to sockets: publications (one for each receiver), frames and their bytes."""

    publications: int = 0
    frames: int = 0
    frame_bytes: int = 0

    def count(self, frames: Sequence[tuple[bytes, Priority]], publications: int, receivers: int) -> None:
        self.publications += publications * receivers
        self.frames += len(frames) * receivers
        self.frame_bytes += sum(len(ready_frame) for ready_frame, _ in frames) * receivers


class Channel(Generic[R]):
    """The local state of one channel.

    `live` receive everything at once; `behind` hold an offset that is not the cursor's and are caught up from the feed;
    `hearers` (a part of both) get joins and leaves; `watchers` get a subscription with the next publication.
    `holds` counts those who prepare to join. A channel without any of them is dropped by the hub.

    `settled`: the bus has confirmed its subscription since the channel was made.
    """

    __slots__ = (
        "behind",
        "cursor",
        "epoch",
        "feed",
        "hearers",
        "held",
        "holds",
        "live",
        "name",
        "pending",
        "seen",
        "settled",
        "watchers",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.feed: Feed | None = None
        self.epoch = ""
        self.cursor: Cursor | None = None
        # Dicts for sets: iterated in the order of joining, which is the order in memory and a fifth faster, and an
        # empty one takes 64 bytes instead of 216, of which a process has as many as channels.
        self.live: dict[Codec, dict[R, None]] = {}
        self.behind: dict[R, int] = {}
        self.hearers: dict[R, None] = {}
        self.watchers: dict[R, None] = {}
        self.pending: list[Delivery] = []
        self.held: dict[int, Publication] = {}
        self.holds = 0
        self.seen: Delivery | None = None
        self.settled = False

    @property
    def empty(self) -> bool:
        return not (self.holds or self.behind or self.watchers or any(self.live.values()))

    @property
    def offset(self) -> int:
        """The last offset that was taken in order; 0 for a channel without positions."""
        return 0 if self.cursor is None else self.cursor.next - 1

    @property
    def subscribers(self) -> int:
        return sum(map(len, self.live.values())) + len(self.behind)

    def start(self, feed: Feed, epoch: str, offset: int) -> None:
        """Give the channel positions, from `offset` on. Without effect where it has them already.

        What came by while it had none has gone to everyone who was there: it starts after that, and whoever joins at
        `offset` is behind.
        """
        if self.cursor is not None:
            return
        if self.seen is not None and self.seen.epoch == epoch:
            offset = max(offset, self.seen.publication.offset)
        self.feed, self.epoch, self.cursor, self.seen = feed, epoch, Cursor(offset), None

    def add(self, receiver: R, at: int | None) -> bool:
        """Let a receiver in at an offset (None: it needs no position). False: it is behind and must be caught up."""
        if self.cursor is None or at is None or at == self.offset:
            self.go_live(receiver)
            return True
        self.behind[receiver] = at
        return False

    def go_live(self, receiver: R) -> None:
        """Let a receiver in at whatever comes next, what is pending included."""
        self.live.setdefault(receiver.codec, {})[receiver] = None

    def stop(self) -> None:
        """Forget all positions: the stream they belong to is gone."""
        self.feed, self.epoch, self.cursor = None, "", None
        self.held.clear()

    def leave(self, receiver: R) -> None:
        """Take a receiver out of delivery, wherever it stands."""
        if receiver.codec in self.live:
            self.live[receiver.codec].pop(receiver, None)
        self.behind.pop(receiver, None)

    def remove(self, receiver: R) -> None:
        self.leave(receiver)
        self.hearers.pop(receiver, None)
        self.watchers.pop(receiver, None)

    def receivers(self) -> list[R]:
        """Everyone subscribed, behind or not."""
        return [*(receiver for live in self.live.values() for receiver in live), *self.behind]

    def accept(self, delivery: Delivery) -> Accepted:
        """Take a delivery in: into `pending`, or held until the missing ones are there."""
        publication = delivery.publication
        cursor = self.cursor
        if publication.offset == 0 or cursor is None:
            if publication.offset:
                self.seen = delivery
            self.pending.append(delivery)
            return Accepted.TAKEN
        if delivery.epoch != self.epoch:
            return Accepted.OTHER_EPOCH
        match cursor.advance(publication.offset):
            case Arrival.DUPLICATE:
                return Accepted.DUPLICATE
            case Arrival.GAP:
                if len(self.held) < MAX_HELD:
                    self.held[publication.offset] = publication
                return Accepted.HELD
            case Arrival.DELIVER:
                self.pending.append(delivery)
                if self.held:
                    self._release()
        return Accepted.TAKEN

    def fill(self, publications: Iterable[Publication]) -> int:
        """Take in what was read from the feed, which has no holes; then what was held. Returns how many were new."""
        cursor = self.cursor
        if cursor is None:
            return 0
        new = 0
        for publication in publications:
            if cursor.advance(publication.offset) is Arrival.DELIVER:
                self.pending.append(Delivery(self.name, "pub", publication, self.epoch))
                new += 1
        self._release()
        return new

    def _release(self) -> None:
        cursor = self.cursor
        if cursor is None:
            return
        while (publication := self.held.pop(cursor.next, None)) is not None:
            cursor.skip_to(publication.offset)
            self.pending.append(Delivery(self.name, "pub", publication, self.epoch))
        for offset in [offset for offset in self.held if offset < cursor.next]:
            del self.held[offset]

    def flush(self) -> Told:
        """Send what is pending to everyone live here."""
        pending, self.pending = self.pending, []
        publications = [delivery.publication for delivery in pending if delivery.kind == "pub"]
        told = Told()
        if publications:
            for codec, receivers in self.live.items():
                if receivers:
                    frames = publication_frames(codec, self.name, publications)
                    told.count(frames, len(publications), _write_all(tuple(receivers), frames))
            if self.behind:
                self._tell_behind([one for one in publications if one.offset == 0], told)
        if len(publications) < len(pending) and self.hearers:
            self._tell_hearers([delivery for delivery in pending if delivery.kind != "pub"], told)
        return told

    def _tell_behind(self, ephemeral: Sequence[Publication], told: Told) -> None:
        """Those who are behind have no part in what has an offset yet, but may see who is typing."""
        if not ephemeral:
            return
        for codec, receivers in _by_codec(self.behind).items():
            frames = publication_frames(codec, self.name, ephemeral)
            told.count(frames, len(ephemeral), _write_all(receivers, frames))

    def _tell_hearers(self, deliveries: Sequence[Delivery], told: Told) -> None:
        for codec, receivers in _by_codec(self.hearers).items():
            frames = [
                (frame(codec.opcode, codec.join([codec.push(Push(self.name, event))])), Priority.EPHEMERAL)
                for delivery in deliveries
                if (event := _presence_event(delivery)) is not None
            ]
            told.count(frames, 0, _write_all(receivers, frames))


def _write_all(receivers: Sequence[Receiver], frames: Iterable[tuple[bytes, Priority]]) -> int:
    """The hottest lines of all: what is done here is done for every delivery. Returns how many receivers there are."""
    for ready_frame, priority in frames:
        size = len(ready_frame)
        for receiver in receivers:
            if (fd := receiver.fd) >= 0:
                try:
                    written = write(fd, ready_frame)
                except OSError:
                    written = 0  # its buffer is full, or the connection is lost: the transport finds out which
                if written != size:
                    receiver.write(ready_frame[written:], priority)
            else:
                receiver.write(ready_frame, priority)
    return len(receivers)


def _by_codec(receivers: Iterable[R]) -> dict[Codec, list[R]]:
    found: dict[Codec, list[R]] = {}
    for receiver in receivers:
        found.setdefault(receiver.codec, []).append(receiver)
    return found


def _presence_event(delivery: Delivery) -> Join | Leave | None:
    info: ClientInfo | None = delivery.publication.info
    if info is None:
        return None
    return Join(info) if delivery.kind == "join" else Leave(info)


def publication_frames(codec: Codec, channel: str, publications: Sequence[Publication]) -> list[tuple[bytes, Priority]]:
    """Ready frames of at most `MAX_FRAME_BYTES` that carry the publications in order, several to a frame.

    A frame that carries only publications without an offset may be dropped for a slow connection.
    """
    frames: list[tuple[bytes, Priority]] = []
    parts: list[bytes] = []
    size = 0
    durable = False
    for publication in publications:
        part = codec.publication(channel, publication)
        if parts and size + len(part) > MAX_FRAME_BYTES:
            frames.append(_joined(codec, parts, durable=durable))
            parts, size, durable = [], 0, False
        parts.append(part)
        size += len(part) + 3
        durable = durable or publication.offset > 0
    frames.append(_joined(codec, parts, durable=durable))
    return frames


def _joined(codec: Codec, parts: Sequence[bytes], *, durable: bool) -> tuple[bytes, Priority]:
    return frame(codec.opcode, codec.join(parts)), Priority.LIVE if durable else Priority.EPHEMERAL
