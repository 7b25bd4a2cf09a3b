"""Devices, what may ring, and what is on screen: what the methods take and return."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.types import END_OF_TIME, ConversationId, Locale

_END: Final = r"$(?!\n)"

MAX_ADDRESS: Final = 2048
MAX_CAPS: Final = 16
MAX_META: Final = 16
MAX_SCHEDULES: Final = 16

ProviderName = Literal["apns", "fcm", "webpush", "webhook"]
Environment = Literal["production", "sandbox"]
AddressKind = Literal["token", "fid", "subscription", "url"]
ContentMode = Literal["full", "sender_only", "generic", "id_only", "encrypted"]
Notify = Literal["default", "all", "mentions", "none"]

DeviceName = Annotated[
    str,
    Meta(pattern=rf"^[A-Za-z0-9_.:-]{{1,64}}{_END}", description="what an install of an app calls itself, for good"),
]
AppName = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_.-]{{1,128}}{_END}", description="whose credentials to use")]
Address = Annotated[str, Meta(min_length=1, max_length=MAX_ADDRESS, pattern=rf"^[\x21-\x7e]+{_END}")]
Base64Url = Annotated[str, Meta(max_length=128, pattern=rf"^[A-Za-z0-9_-]*=*{_END}")]
Platform = Annotated[str, Meta(max_length=32, pattern=rf"^[a-z0-9_-]*{_END}")]
TimeZone = Annotated[str, Meta(max_length=64, pattern=rf"^[A-Za-z0-9_+/-]*{_END}", description="an IANA name")]
Caps = Annotated[list[Annotated[str, Meta(min_length=1, max_length=32)]], Meta(max_length=MAX_CAPS)]
MetaKey = Annotated[str, Meta(min_length=1, max_length=32, pattern=rf"^[A-Za-z0-9_-]+{_END}")]
MetaOfDevice = Annotated[dict[MetaKey, Annotated[str, Meta(max_length=256)]], Meta(max_length=MAX_META)]
MinuteOfDay = Annotated[int, Meta(ge=0, le=1439, description="minutes after midnight")]
Weekday = Annotated[int, Meta(ge=0, le=6)]


class PushKeys(Struct, frozen=True):
    """`p256dh`: a point on P-256, uncompressed. `auth`: 16 secret bytes. Both as base64url, as browsers give them."""

    p256dh: Base64Url
    auth: Base64Url


class DeviceRegister(Struct, frozen=True, kw_only=True):
    """The whole state: what is left out is not so any more. To be repeated at every start of the app, at no cost.

    The `address` is what the provider gave: a token, with Firebase perhaps an installation id (`address_kind` is `fid`
    then), the endpoint of a Web Push subscription. It belongs to one user: whoever registers it last.
    `keys` and `vapid_key` (the public key that it was made with) belong to a subscription. With `content_keys` the app
    can open content that no provider is to read. `caps` are what the app can do, in its own words.
    """

    device: DeviceName
    provider: ProviderName
    address: Address
    app: AppName = "default"
    address_kind: AddressKind | UnsetType = UNSET
    environment: Environment = "production"
    platform: Platform = ""
    keys: PushKeys | None = None
    vapid_key: Base64Url = ""
    content_keys: PushKeys | None = None
    locale: Locale = ""
    time_zone: TimeZone = ""
    caps: Caps = []
    meta: MetaOfDevice = {}


class DeviceUnregister(Struct, frozen=True):
    """To be called before signing out: once it is answered, nothing is sent to the device."""

    device: DeviceName


class DeviceList(Struct, frozen=True):
    pass


class Device(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A device of the caller; where it is reached is not told. `encrypted`: it has keys for content."""

    id: str
    provider: str
    app: str
    environment: str
    address_kind: str
    created_at: int
    confirmed_at: int
    platform: str = ""
    locale: str = ""
    time_zone: str = ""
    caps: list[str] = []
    meta: dict[str, str] = {}
    encrypted: bool = False


class DeviceResult(Struct, frozen=True):
    device: Device


class DevicesResult(Struct, frozen=True):
    """Last confirmed first."""

    devices: list[Device]


class PushVapidKey(Struct, frozen=True):
    """Of the credentials that `app` names in `device.register`."""

    app: AppName = "default"


class PushVapidKeyResult(Struct, frozen=True):
    """What a browser subscribes with (`applicationServerKey`): a point on P-256, uncompressed, as base64url without
    padding. It is no secret.
    """

    vapid_key: str


class QuietHours(Struct, frozen=True):
    """From `start` to `end` on each of these days, on all if none is given: 0 is Monday, and the day is that on which
    it starts. An `end` at or before `start` is on the next day.
    """

    start: MinuteOfDay
    end: MinuteOfDay
    days: Annotated[list[Weekday], Meta(max_length=7)] = []


class PushPreferencesChange(Struct, frozen=True, kw_only=True):
    """What is left out stays as it is; without anything this only reads.

    `content`: how much a notification says; `default`: as the server has it. `notify`: which messages ring where a
    conversation has no level of its own; `default`: all, in large groups mentions. `quiet` replaces all hours in which
    nothing rings, by the clock on the wall in `time_zone` (empty: that of each device). `snoozed_until`: nothing rings
    before; 0 ends that.
    """

    content: Literal["default"] | ContentMode | UnsetType = UNSET
    notify: Notify | UnsetType = UNSET
    quiet: Annotated[list[QuietHours], Meta(max_length=MAX_SCHEDULES)] | UnsetType = UNSET
    time_zone: TimeZone | UnsetType = UNSET
    snoozed_until: Annotated[int, Meta(ge=0, le=END_OF_TIME)] | UnsetType = UNSET


class PushPreferences(Struct, frozen=True):
    """What rings, on all devices of the caller. `snoozed_until`: 0 unless it is in the future."""

    content: str
    notify: str
    quiet: list[QuietHours]
    time_zone: str
    snoozed_until: int


class PushPreferencesResult(Struct, frozen=True):
    preferences: PushPreferences


class ClientState(Struct, frozen=True):
    """`device` as it registers and connects. `foreground`: the app is in front, somebody is looking. `conversation`:
    the one on screen.
    """

    device: DeviceName
    foreground: bool
    conversation: ConversationId | None = None


class ClientStateResult(Struct, frozen=True):
    """To be said again within this time, while it is so."""

    expires_in_ms: int
