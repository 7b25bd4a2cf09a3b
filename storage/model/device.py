"""Devices that can be rung when nobody is connected: where a user's phone or browser is reached, and by whom."""

import base64
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

DEVICE_ID_LENGTH: Final = 26
P256DH_BYTES: Final = 65
AUTH_BYTES: Final = 16

ProviderName: TypeAlias = Literal["apns", "fcm", "webpush", "webhook"]
AddressKind: TypeAlias = Literal["token", "fid", "subscription", "url"]
EnvironmentName: TypeAlias = Literal["production", "sandbox"]


class DeviceState(StrEnum):
    """A tombstone is sent nothing; it is kept for a while, in case the provider was wrong about it."""

    ACTIVE = "active"
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """What only this device can open is sealed to (RFC 8291): a point on P-256, uncompressed, and a secret."""

    p256dh: bytes
    auth: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Device:
    """One install of an app, of one user. Times are ms UTC.

    `install` is the name that the app gave itself; with the user it makes the `id`. `app` names the credentials. The
    `address` is a secret: the token, the installation id or the URL. `keys` are those of a Web Push subscription,
    `vapid_key` the public key that it was made with, `content_keys` those for content that no provider is to read.
    `caps` are what the app can do, in its own words. `confirmed_at`: when it last said that all this is so.

    Of a tombstone, `ended_at` and `reason` say since when and why. `failures` counts attempts in a row that failed.
    """

    user: str
    install: str
    provider: ProviderName
    app: str
    address: str = field(repr=False)
    address_kind: AddressKind
    created_at: int
    confirmed_at: int
    environment: EnvironmentName = "production"
    platform: str = ""
    keys: DeviceKeys | None = None
    vapid_key: str = ""
    content_keys: DeviceKeys | None = None
    locale: str = ""
    time_zone: str = ""
    caps: tuple[str, ...] = ()
    meta: tuple[tuple[str, str], ...] = ()
    state: DeviceState = DeviceState.ACTIVE
    reason: str = ""
    ended_at: int | None = None
    failures: int = 0

    @property
    def id(self) -> str:
        """The same for the same user and install, whoever asks: 26 characters of base32."""
        return device_id(self.user, self.install)

    @property
    def digest(self) -> str:
        """What the address is found and compared by."""
        return address_digest(self.provider, self.app, self.address)

    @property
    def active(self) -> bool:
        return self.state is DeviceState.ACTIVE


def device_id(user: str, install: str) -> str:
    """The id of a user's device. Of another user with the same install it is another one: an install proves nothing."""
    return _base32(f"device:{len(user)}:{user}{install}")[:DEVICE_ID_LENGTH]


def address_digest(provider: str, app: str, address: str) -> str:
    """One address of one app, without saying which.

    Rows are found by it and it is what is unique: so an address appears in no index, no slow query's log line and no
    error about a duplicate, and one of 2 KiB costs as much as one of 64 bytes. It has no key: providers' addresses are
    too long to be guessed, and a key could never be changed, for the same address must have the same digest for ever.
    """
    return _base32(f"address:{provider}:{len(app)}:{app}{address}")


def _base32(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()
