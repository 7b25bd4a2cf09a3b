"""What the methods of the server API take: Centrifugo's names, types and defaults. Unknown fields are ignored."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary import devices, push
from chat.vocabulary.types import ConversationId, Locale, UserId
from realtime.protocol.messages import EMPTY, Payload, StreamPosition

MAX_CHANNELS_AT_ONCE = 1000
MAX_COMMANDS_AT_ONCE = 1000
MAX_USERS_AT_ONCE = 1000

Channel = Annotated[str, Meta(min_length=1, max_length=255)]
ClientId = Annotated[str, Meta(max_length=128)]
Key = Annotated[str, Meta(max_length=256)]
Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799, description="seconds since 1970 UTC; 0: never")]


class _Publishing(Struct, frozen=True, kw_only=True):
    """`data` or, as base64 of the same JSON, `b64data`. `delta` is taken and has no effect, as nobody negotiates it."""

    data: Payload = EMPTY
    b64data: str = ""
    skip_history: bool = False
    tags: dict[str, str] = {}
    idempotency_key: Key = ""
    delta: bool = False
    version: int = 0
    version_epoch: str = ""


class Publish(_Publishing, frozen=True, kw_only=True):
    channel: Channel


class Broadcast(_Publishing, frozen=True, kw_only=True):
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=MAX_CHANNELS_AT_ONCE)]


class Flag(Struct, frozen=True):
    value: bool


class Override(Struct, frozen=True):
    """Options of the channel that this subscription has otherwise."""

    presence: Flag | None = None
    join_leave: Flag | None = None
    force_push_join_leave: Flag | None = None
    force_positioning: Flag | None = None
    force_recovery: Flag | None = None


class _OfUser(Struct, frozen=True, kw_only=True):
    """Sessions of a user: all of them, or one by its client id. A `session` is the same id under another name."""

    user: UserId
    client: ClientId = ""
    session: ClientId = ""


class Subscribe(_OfUser, frozen=True, kw_only=True):
    channel: Channel
    data: Payload = EMPTY
    b64data: str = ""
    info: Payload = EMPTY
    b64info: str = ""
    expire_at: Seconds = 0
    recover_since: StreamPosition | None = None
    override: Override | None = None


class Unsubscribe(_OfUser, frozen=True, kw_only=True):
    channel: Channel


class DisconnectCode(Struct, frozen=True):
    """3500–3999 and 4500–4999 keep SDKs from coming back."""

    code: Annotated[int, Meta(ge=3000, le=4999)] = 3503
    reason: str = ""


class Disconnect(_OfUser, frozen=True, kw_only=True):
    whitelist: Annotated[list[ClientId], Meta(max_length=1000)] = []
    disconnect: DisconnectCode | None = None


class Refresh(_OfUser, frozen=True, kw_only=True):
    """Sets when the sessions expire; without `expire_at` they never do. `expired` ends them with 3005."""

    expired: bool = False
    expire_at: Seconds = 0
    info: Payload = EMPTY


class OfChannel(Struct, frozen=True):
    channel: Channel


class History(Struct, frozen=True):
    """`limit` 0: only the position; -1: as many as the server gives at once. `since` is exclusive."""

    channel: Channel
    limit: Annotated[int, Meta(ge=-1, le=2**31 - 1)] = 0
    since: StreamPosition | None = None
    reverse: bool = False


class Channels(Struct, frozen=True):
    """`pattern`: a glob of `*`, `?`, `[abc]`, `[!abc]` and `{one,two}`. Empty: all."""

    pattern: Annotated[str, Meta(max_length=255)] = ""


class Info(Struct, frozen=True):
    pass


class Batch(Struct, frozen=True):
    """Commands `{<method>: <parameters>}`; one after the other, or with `parallel` all at once."""

    commands: Annotated[list[dict[str, Payload]], Meta(max_length=MAX_COMMANDS_AT_ONCE)]
    parallel: bool = False


class Rpc(Struct, frozen=True):
    """A method of `/v1/rpc` on behalf of `user`, who is created on first sight."""

    user: UserId
    method: str
    params: Payload = EMPTY


class Connections(Struct, frozen=True):
    """Of a user; an empty one: of everybody. `expression` is refused unless it is empty."""

    user: Annotated[str, Meta(max_length=64)] = ""
    expression: str = ""


class Users(Struct, frozen=True):
    users: Annotated[list[UserId], Meta(min_length=1, max_length=MAX_USERS_AT_ONCE)]


class BlockUser(Struct, frozen=True):
    """From the whole server, not from another user: that is `user.block`. Without `expire_at` for good."""

    user: UserId
    expire_at: Seconds | None = None


class UnblockUser(Struct, frozen=True):
    user: UserId


class RevokeToken(Struct, frozen=True):
    """`uid`: the token's `jti`, or the SHA-256 of the token in hex. `expire_at`: when the token has expired by itself,
    so that it need not be remembered for ever.
    """

    uid: Annotated[str, Meta(min_length=1, max_length=256)]
    expire_at: Seconds | None = None


class InvalidateUserTokens(Struct, frozen=True):
    """Tokens whose `iat` is before `issued_before` (seconds since 1970 UTC; without it: now), or that have none.

    With a `channel` the subscription tokens for it, else the connection tokens. `expire_at`: when the youngest of them
    has expired by itself.
    """

    user: UserId
    issued_before: Seconds | None = None
    channel: Annotated[str, Meta(max_length=255)] | None = None
    expire_at: Seconds | None = None


DEVICES_PAGE = 100

DeviceId = Annotated[str, Meta(min_length=1, max_length=64)]
DeviceIds = Annotated[list[DeviceId], Meta(max_length=MAX_USERS_AT_ONCE)]
UserIds = Annotated[list[UserId], Meta(max_length=MAX_USERS_AT_ONCE)]
Topics = Annotated[list[str], Meta(max_length=100)]


class DeviceRegister(Struct, frozen=True, kw_only=True):
    """The whole state: what is left out is not so any more. `id`: of a device that is known, or the name that the app
    gave itself; empty: the one with this address.

    `app`, `address_kind`, `environment`, `keys`, `vapid_key` and `content_keys` are as in `device.register`, where
    `token` is called `address`. `topics` are refused.
    """

    provider: devices.ProviderName
    token: devices.Address
    platform: devices.Platform = ""
    id: Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_.:-]*$(?!\n)")] | None = None
    user: UserId | None = None
    timezone: devices.TimeZone | None = None
    locale: Locale | None = None
    meta: devices.MetaOfDevice | None = None
    topics: Topics | None = None
    app: devices.AppName = "default"
    address_kind: devices.AddressKind | UnsetType = UNSET
    environment: devices.Environment = "production"
    keys: devices.PushKeys | None = None
    vapid_key: devices.Base64Url = ""
    content_keys: devices.PushKeys | None = None


class DeviceUserUpdate(Struct, frozen=True):
    user: UserId


class DeviceTimezoneUpdate(Struct, frozen=True):
    timezone: devices.TimeZone


class DeviceLocaleUpdate(Struct, frozen=True):
    locale: Locale


class DeviceMetaUpdate(Struct, frozen=True):
    meta: devices.MetaOfDevice


class DeviceTopicsUpdate(Struct, frozen=True):
    """Is refused: devices have no topics here."""

    op: str
    topics: Topics


class DeviceUpdate(Struct, frozen=True, kw_only=True):
    """Of these devices, or of all devices of these users; of both: of those that are both. With `user_update` at most
    100 at a time.
    """

    ids: DeviceIds | None = None
    users: UserIds | None = None
    user_update: DeviceUserUpdate | None = None
    timezone_update: DeviceTimezoneUpdate | None = None
    locale_update: DeviceLocaleUpdate | None = None
    meta_update: DeviceMetaUpdate | None = None
    topics_update: DeviceTopicsUpdate | None = None


class DeviceRemove(Struct, frozen=True, kw_only=True):
    """These devices, and all devices of these users."""

    ids: DeviceIds | None = None
    users: UserIds | None = None


class DeviceFilter(Struct, frozen=True, kw_only=True):
    """What is empty does not matter. `topics` are refused."""

    ids: DeviceIds | None = None
    users: UserIds | None = None
    topics: Topics | None = None
    providers: Annotated[list[devices.ProviderName], Meta(max_length=10)] | None = None
    platforms: Annotated[list[devices.Platform], Meta(max_length=100)] | None = None


class DeviceList(Struct, frozen=True, kw_only=True):
    """By id. `cursor` is the `next_cursor` of the page before. `include_topics` is taken and has no effect."""

    filter: DeviceFilter | None = None
    include_total_count: bool | None = None
    include_meta: bool | None = None
    include_topics: bool | None = None
    cursor: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=0, le=1000)] | None = None


class PushTrace(Struct, frozen=True, kw_only=True):
    """What became of a message on its way to all devices in the last 72 hours; to those of one `user`, or to one
    `device` (the `id` that `device_list` has).
    """

    conversation: ConversationId
    offset: push.Offset
    user: UserId | None = None
    device: DeviceId | None = None


class ConversationPublish(Struct, frozen=True):
    """What of a publication's data in a `conv:` channel is about the sending itself; the rest is the message."""

    sender: UserId
    idempotency_key: Any | UnsetType = UNSET
