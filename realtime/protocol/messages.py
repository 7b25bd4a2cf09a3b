"""The vocabulary of the protocol: what a client asks, what it is answered, what it is pushed. Codecs only spell it.

Names are the protocol's. Every payload (`data`, `conn_info`, ...) is JSON text, held as `msgspec.Raw` and never parsed
here; absent is the object `EMPTY` itself, not another empty Raw. msgspec.json embeds a Raw as it is; other encoders
need `bytes(raw)`. Structs are frozen: one publication is shared by all its receivers. Fields without a default are
written in JSON even when they are zero, as clients expect of those and only of those.
"""

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from realtime.protocol.codes import ClientError

Payload: TypeAlias = Raw
EMPTY: Final[Payload] = Raw(b"")

# What fits a signed 64-bit integer: offsets are stored and compared as such. Protobuf could carry one bit more.
MAX_OFFSET: Final = 2**63 - 1
UInt32: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Offset: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_OFFSET)]


class _Message(Struct, frozen=True, gc=False, omit_defaults=True):
    """Out of the garbage collector's sight: messages hold no cycles, and a busy process holds very many."""


# --- what things are made of ---


class ClientInfo(_Message, frozen=True):
    """Who a connection is: in presence, join and leave, and on a publication made by a client."""

    user: str
    client: str
    conn_info: Payload = EMPTY
    chan_info: Payload = EMPTY


class StreamPosition(_Message, frozen=True):
    offset: Offset = 0
    epoch: str = ""


class Publication(_Message, frozen=True):
    """`offset` 0: not part of the channel's stream, moves no position. `time` is integer ms UTC, 0 when not told."""

    data: Payload = EMPTY
    info: ClientInfo | None = None
    offset: Offset = 0
    tags: dict[str, str] = {}
    time: Int64 = 0


class Error(_Message, frozen=True):
    """`code` >= 100 (below are the SDKs' own); the message is never empty: an SDK retries for ever without one."""

    code: int
    message: str
    temporary: bool = False

    def __post_init__(self) -> None:
        if self.code < 100 or not self.message:
            raise ValueError("an error has a code from 100 and a message")


# --- requests ---


class SubscribeRequest(_Message, frozen=True):
    """`flag & 2`: answer 112 rather than subscribe behind a gap. `type` and `tf` are read to be refused."""

    channel: str = ""
    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: Offset = 0
    data: Payload = EMPTY
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    tf: Payload = EMPTY
    flag: Int64 = 0
    type: Int32 = 0


class Resume(_Message, frozen=True):
    """What a client remembers of a server-side subscription: a `SubscribeRequest` of which only the position counts."""

    recover: bool = False
    epoch: str = ""
    offset: Offset = 0


class ConnectRequest(_Message, frozen=True):
    """`subs`, by channel, are positions only: they subscribe to nothing."""

    token: str = ""
    data: Payload = EMPTY
    subs: dict[str, Resume] = {}
    name: str = ""
    version: str = ""


class UnsubscribeRequest(_Message, frozen=True):
    channel: str = ""


class PublishRequest(_Message, frozen=True):
    channel: str = ""
    data: Payload = EMPTY
    type: Int32 = 0


class PresenceRequest(_Message, frozen=True):
    channel: str = ""


class PresenceStatsRequest(_Message, frozen=True):
    channel: str = ""


class HistoryRequest(_Message, frozen=True):
    """`limit` 0: only the position; -1: all, up to the server's cap. `since` is exclusive."""

    channel: str = ""
    limit: Int32 = 0
    since: StreamPosition | None = None
    reverse: bool = False


class PingRequest(_Message, frozen=True):
    pass


class SendRequest(_Message, frozen=True):
    """Has no reply. Accepted and ignored, data and all."""


class RPCRequest(_Message, frozen=True):
    method: str = ""
    data: Payload = EMPTY


class RefreshRequest(_Message, frozen=True):
    token: str = ""


class SubRefreshRequest(_Message, frozen=True):
    channel: str = ""
    token: str = ""
    type: Int32 = 0


Request: TypeAlias = (
    ConnectRequest
    | SubscribeRequest
    | UnsubscribeRequest
    | PublishRequest
    | PresenceRequest
    | PresenceStatsRequest
    | HistoryRequest
    | PingRequest
    | SendRequest
    | RPCRequest
    | RefreshRequest
    | SubRefreshRequest
)


class Command(Struct, frozen=True, gc=False):
    """One thing that a client asks. `id` is 0 only where no reply is awaited (`send`), or by mistake."""

    id: int
    request: Request


class Pong(Struct, frozen=True, gc=False):
    """The client's empty message."""


class Invalid(Struct, frozen=True):
    """A command that cannot be understood, but can be answered."""

    id: int
    error: ClientError


Received: TypeAlias = Command | Pong | Invalid


# --- results ---


class _Expiring(_Message, frozen=True):
    """`ttl`: seconds until expiry, at least 1 where `expires` is set: without one an SDK disconnects for good."""

    expires: bool = False
    ttl: UInt32 = 0

    def __post_init__(self) -> None:
        if self.expires and self.ttl < 1:
            # Less than a second is left; clients have a grace after it.
            msgspec.structs.force_setattr(self, "ttl", 1)


class SubscribeResult(_Expiring, frozen=True):
    """Complete in every reply: a position left out makes an SDK forget its own."""

    recoverable: bool = False
    epoch: str = ""
    publications: list[Publication] = []
    recovered: bool = False
    offset: Offset = 0
    positioned: bool = False
    data: Payload = EMPTY
    was_recovering: bool = False


class ConnectResult(_Expiring, frozen=True, kw_only=True):
    """`ping`: seconds between pings, at least 1 (an SDK reconnects for ever on 0). `time` is ms UTC."""

    client: str
    version: str
    ping: UInt32
    pong: bool = False
    data: Payload = EMPTY
    subs: dict[str, SubscribeResult] = {}
    session: str = ""
    node: str = ""
    time: Int64 = 0

    def __post_init__(self) -> None:
        if not self.client or not self.version or self.ping < 1:
            raise ValueError("a connect result has a client, a version and a ping of at least 1 s")
        _Expiring.__post_init__(self)


class UnsubscribeResult(_Message, frozen=True):
    pass


class PublishResult(_Message, frozen=True):
    pass


class PresenceResult(_Message, frozen=True):
    """By client id."""

    presence: dict[str, ClientInfo]


class PresenceStatsResult(_Message, frozen=True):
    num_clients: UInt32
    num_users: UInt32


class HistoryResult(_Message, frozen=True):
    publications: list[Publication]
    epoch: str
    offset: Offset


class PingResult(_Message, frozen=True):
    pass


class RPCResult(_Message, frozen=True):
    data: Payload = EMPTY


class RefreshResult(_Expiring, frozen=True):
    client: str = ""
    version: str = ""


class SubRefreshResult(_Expiring, frozen=True):
    pass


Result: TypeAlias = (
    ConnectResult
    | SubscribeResult
    | UnsubscribeResult
    | PublishResult
    | PresenceResult
    | PresenceStatsResult
    | HistoryResult
    | PingResult
    | RPCResult
    | RefreshResult
    | SubRefreshResult
)


class Reply(Struct, frozen=True, gc=False):
    """The answer to the command with this `id`. There is always a result object or an error, never neither."""

    id: int
    result: Result | Error


def failure(command_id: int, error: ClientError) -> Reply:
    """The reply that refuses a command."""
    return Reply(command_id, Error(error.code.code, error.message, error.temporary))


# --- pushes. `message`, `refresh` and `connect` exist in the protocol and are never sent, so they are not here ---


class Join(_Message, frozen=True):
    info: ClientInfo


class Leave(_Message, frozen=True):
    info: ClientInfo


class Subscribe(_Message, frozen=True):
    """The server subscribed this session. `offset` is the one before the entry that follows."""

    recoverable: bool = False
    epoch: str = ""
    offset: Offset = 0
    positioned: bool = False
    data: Payload = EMPTY


class Unsubscribe(_Message, frozen=True):
    """Code and reason are both set, always."""

    code: UInt32
    reason: str

    def __post_init__(self) -> None:
        if self.code < 2000 or not self.reason:
            raise ValueError("an unsubscribe push has a code from 2000 and a reason")


class Disconnect(_Message, frozen=True):
    """Code and reason are both set, always."""

    code: UInt32
    reason: str

    def __post_init__(self) -> None:
        if self.code < 3000 or not self.reason:
            raise ValueError("a disconnect push has a code from 3000 and a reason")


Event: TypeAlias = Publication | Join | Leave | Subscribe | Unsubscribe | Disconnect


class Push(Struct, frozen=True, gc=False):
    """Something that happened in a channel (empty for `Disconnect`)."""

    channel: str
    event: Event


# --- the names on the wire: one table for both codecs ---

REPLIES: Final[Mapping[type[Result | Error], str]] = {
    Error: "error",
    ConnectResult: "connect",
    SubscribeResult: "subscribe",
    UnsubscribeResult: "unsubscribe",
    PublishResult: "publish",
    PresenceResult: "presence",
    PresenceStatsResult: "presence_stats",
    HistoryResult: "history",
    PingResult: "ping",
    RPCResult: "rpc",
    RefreshResult: "refresh",
    SubRefreshResult: "sub_refresh",
}

PUSHES: Final[Mapping[type[Event], str]] = {
    Publication: "pub",
    Join: "join",
    Leave: "leave",
    Subscribe: "subscribe",
    Unsubscribe: "unsubscribe",
    Disconnect: "disconnect",
}
