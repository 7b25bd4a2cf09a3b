"""What the methods of the server API return. Every result is an object with all its fields, zero or not: clients of
Centrifugo's API rely on that.
"""

from typing import Any, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from realtime.protocol.messages import ClientInfo, Publication


class Nothing(Struct, frozen=True):
    """Done, as far as it can be told: a user without connections is no error."""


class Published(Struct, frozen=True):
    """The position that the publication got; zero and empty where no history is kept."""

    offset: int = 0
    epoch: str = ""


class Error(Struct, frozen=True):
    code: int
    message: str


class Reply(Struct, frozen=True):
    """Either of the two."""

    result: Any | UnsetType = UNSET
    error: Error | UnsetType = UNSET


class Broadcasted(Struct, frozen=True):
    """One response for each channel, in their order."""

    responses: list[Reply]


class Presence(Struct, frozen=True):
    """By client id."""

    presence: dict[str, ClientInfo]


class PresenceStats(Struct, frozen=True):
    num_clients: int
    num_users: int


class History(Struct, frozen=True):
    """`offset` and `epoch` are the channel's present position."""

    publications: list[Publication]
    offset: int
    epoch: str


class ChannelInfo(Struct, frozen=True):
    num_clients: int


class Channels(Struct, frozen=True):
    """Channels with at least one subscriber, on any process."""

    channels: dict[str, ChannelInfo]


class Node(Struct, frozen=True):
    """One process. `uptime` in seconds."""

    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_subs: int
    num_channels: int
    uptime: int


class Info(Struct, frozen=True):
    nodes: list[Node]


class ChannelContext(Struct, frozen=True):
    """`source`: how the connection came to the channel; always 0, which is "not told"."""

    source: int = 0


class TokenInfo(Struct, frozen=True):
    """`uid` is what `revoke_token` takes; empty without a token. `issued_at`: its `iat`, 0 without."""

    uid: str
    issued_at: int


class ConnectionState(Struct, frozen=True):
    channels: dict[str, ChannelContext]
    connection_token: TokenInfo


class Connection(Struct, frozen=True):
    """`app_name` and `app_version` are what the client says of itself; `protocol` is `json` or `protobuf`."""

    app_name: str
    app_version: str
    transport: str
    protocol: str
    user: str
    state: ConnectionState


class Connections(Struct, frozen=True):
    """By client id."""

    connections: dict[str, Connection]


class UserStatus(Struct, frozen=True):
    """Seconds since 1970 UTC; 0: never. `active`: of the last `update_user_status`. `online`: now while there is a
    connection, else when the last one ended.
    """

    user: str
    active: int
    online: int


class UserStatuses(Struct, frozen=True):
    """One of each user, in their order."""

    statuses: list[UserStatus]


class DeviceRegistered(Struct, frozen=True):
    id: str


class RegisteredDevice(Struct, frozen=True):
    """`token` is always empty: where a device is reached is told to nobody. Times in seconds since 1970 UTC: when it
    registered first and last. `device` is what it calls itself.
    """

    id: str
    platform: str
    provider: str
    token: str
    user: str
    created_at: int
    updated_at: int
    meta: dict[str, str]
    topics: list[str]
    app: str
    device: str
    timezone: str
    locale: str


class Devices(Struct, frozen=True):
    """`next_cursor` is empty on the last page. `total_count` is 0 unless it was asked for."""

    items: list[RegisteredDevice]
    next_cursor: str
    total_count: int


class PushTraced(Struct, frozen=True):
    """One step, as in `push.trace`, with its `user`. `device` is the `id` that `device_list` has. What is about
    everybody has neither.
    """

    at: int
    step: str
    outcome: str
    reason: str
    since: int
    upto: int
    user: str
    device: str
    provider: str
    until: int
    attempt: int
    job: str
    provider_id: str


class PushSteps(Struct, frozen=True):
    """In the order of time; at most 1000."""

    steps: list[PushTraced]


class RpcResult(Struct, frozen=True):
    """`data` is what the method returns to a client."""

    data: Any


BatchReply: TypeAlias = dict[str, Any]
"""`{<method>: <result>}`, or `{"error": {code, message}}`."""


class BatchReplies(Struct, frozen=True):
    """In the order of the commands. Not in a `result`: that is the one answer without."""

    replies: list[BatchReply]
