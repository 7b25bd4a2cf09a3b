"""What the engine asks of the product: who somebody is, what they may do, and where a channel's stream stands.

The product implements `Backend`. Its answers are values; what it refuses it raises as `ClientError` (the command is
answered with an error, the connection lives) or `Closing` (the connection ends). Only the connection turns either into
bytes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from realtime.ports import Feed, StreamOptions
from realtime.protocol.messages import (
    EMPTY,
    ConnectRequest,
    HistoryRequest,
    Payload,
    Publication,
    SubscribeRequest,
)
from realtime.protocol.recovery import Position


class Peer(Struct, frozen=True):
    """Where a connection comes from, as far as the handshake told. `address` is for operators, never for decisions."""

    address: str
    origin: str
    codec: str


class Credential(Struct, frozen=True):
    """What a connection was let in by, so that it can be taken back: the `names` of its token, when that was issued
    (wall-clock seconds, None: it does not say), and the `key` that verified it. All opaque here; empty: none.
    """

    names: tuple[str, ...] = ()
    issued_at: int | None = None
    key: str = ""


NO_CREDENTIAL: Final = Credential()


class Identity(Struct, frozen=True):
    """Who a connection is. `user` is empty for an anonymous one. `expire_at` is wall-clock seconds, None: never."""

    user: str
    expire_at: float | None = None
    info: Payload = EMPTY
    credential: Credential = NO_CREDENTIAL


class Grant(Struct, frozen=True):
    """How one session may have one channel.

    `chan_info` goes into presence and join/leave. `expire_at` (wall-clock seconds) ends the subscription unless
    refreshed. `stream` says how much history a plain channel keeps (None: none). `feed` replays a durable log;
    `position` is then its head as the product knows it (a lower bound is enough: the engine starts there and catches
    up; `verify` asks it to look at once, where something may have been appended since the head was read). Of a feed
    nothing below `oldest` is kept.
    """

    data: Payload = EMPTY
    chan_info: Payload = EMPTY
    expire_at: float | None = None
    presence: bool = False
    join_leave: bool = False
    push_join_leave: bool = False
    positioned: bool = False
    recoverable: bool = False
    stream: StreamOptions | None = None
    feed: Feed | None = None
    position: Position | None = None
    max_missed: int = 1_000
    oldest: int = 1
    verify: bool = False


class Admission(Struct, frozen=True):
    """The answer to `connect`: who it is, what the reply carries, and the server-side subscriptions of the session.

    `subscriptions` maps a channel to its grant; `watched` are channels that the session is subscribed to as soon as
    something is published there (the conversations beyond the limit of one reply). `most_of_user`: so many connections
    of this user may be on this process, this one included; checked when it is let in (0: any number). `device`: the
    install of an app that it is, by its name with this user; empty: none that is known. `latest`: the channels about
    which it is to be asked first, where there are too many.
    """

    identity: Identity
    data: Payload
    subscriptions: Mapping[str, Grant]
    watched: Mapping[str, Grant]
    most_of_user: int = 0
    device: str = ""
    latest: Sequence[str] = ()


class Later(Struct, frozen=True):
    """An answer that is still being made, and how it is spelled once it is there."""

    answer: "asyncio.Future[Any]"
    encode: Callable[[Any], Payload]


class Caller(Protocol):
    """The session that a command came from."""

    @property
    def client(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def identity(self) -> Identity: ...

    @property
    def waited_s(self) -> float:
        """For how long the command may have waited for those before it."""

    def subscribed(self, channel: str) -> bool: ...

    def has(self, channel: str, offset: int) -> None:
        """Note that the peer has the channel up to there, by its own word."""


class Backend(Protocol):
    """The product behind the engine. Every coroutine has a deadline of its own well below an SDK's five seconds."""

    async def connect(self, client: str, request: ConnectRequest, peer: Peer) -> Admission: ...

    async def refresh(self, caller: Caller, token: str) -> Identity:
        """Who the caller is by the new token: the same user, until later. An expired or bad token raises `Closing`."""

    async def subscribe(self, caller: Caller, request: SubscribeRequest) -> Grant: ...

    async def sub_refresh(self, caller: Caller, channel: str, token: str) -> float | None: ...

    async def publish(self, caller: Caller, channel: str, data: Payload) -> "Publish | None":
        """How to publish it; None when the product has taken care of it."""

    async def presence(self, caller: Caller, channel: str) -> None:
        """Raise unless the caller may see who is in the channel."""

    async def history(self, caller: Caller, request: HistoryRequest) -> StreamOptions:
        """The stream to read; raises unless the caller may."""

    async def rpc(self, caller: Caller, method: str, data: Payload) -> Payload | Later:
        """Run a method. A later answer is sent when it is done, while the next command is already served."""

    def promoted(self, user: str, channel: str, first: Publication) -> Payload:
        """The data of the `subscribe` push when a watched channel becomes a subscription. Must not block."""

    def restarted(self, user: str, channel: str, offset: int) -> Payload:
        """The data of the `subscribe` push when too much was missed and the session starts at `offset`. Must not
        block.
        """

    def disconnected(self, user: str) -> None:
        """The last connection of a user on this process is gone."""


class Publish(Struct, frozen=True):
    """A publication that the product allowed: `chan_info` is added to who published it."""

    data: Payload
    stream: StreamOptions | None
    chan_info: Payload = EMPTY


class Heads(Protocol):
    """Tells which durable channels moved, for the repair of what the bus lost."""

    async def changed_since(self, mark: str) -> tuple[Sequence[tuple[str, int]], str]:
        """Channels whose head moved since `mark` (empty: lately) with their heads, and the next mark."""

    def feed(self, channel: str) -> Feed | None:
        """The durable log behind a channel, if it has one."""
