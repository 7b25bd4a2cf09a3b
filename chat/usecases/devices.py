"""The devices of a user: registered by themselves, listed, taken away."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from msgspec import UnsetType

from chat.usecases.failures import told
from chat.vocabulary import devices as words
from chat.vocabulary.devices import (
    AddressKind,
    DeviceList,
    DeviceRegister,
    DeviceResult,
    DevicesResult,
    DeviceUnregister,
    PushKeys,
    PushVapidKey,
    PushVapidKeyResult,
)
from chat.vocabulary.shapes import Done
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model.device import AUTH_BYTES, P256DH_BYTES, Device, DeviceKeys
from storage.store import Store

log = structlog.get_logger(__name__)

KINDS: Final[dict[str, tuple[AddressKind, ...]]] = {
    "apns": ("token",),
    "fcm": ("token", "fid"),
    "webpush": ("subscription",),
    "webhook": ("token",),
}
"""The kinds of address that a provider has, the usual one first. A webhook's URL is the operator's; the address says
there whom it is for.
"""

_APNS_TOKEN: Final = re.compile(r"([0-9A-Fa-f]{2}){8,100}")


class Endpoints(Protocol):
    """Where this server lets itself be sent by a browser's word, and as whom."""

    async def check(self, app: str, endpoint: str) -> None:
        """Raises OSError, whose text says by which rule, for a URL of no push service, and StorageError."""

    async def vapid_key(self, app: str) -> str | None:
        """The public key that browsers subscribe with; None: there is none. Raises StorageError."""


class Devices:
    """Every method raises ClientError."""

    def __init__(self, store: Store, endpoints: Endpoints, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._endpoints = endpoints
        self._clock_ms = clock_ms

    async def register(self, user: str, request: DeviceRegister) -> DeviceResult:
        """Keep the device as it is now. Its address is this user's from then on, whoever had it."""
        return DeviceResult(rendered(await self.keep(asked(user, request, at=self._clock_ms()))))

    async def keep(self, device: Device) -> Device:
        """As `register`, with a device that `asked` has made."""
        with told():
            if device.provider == "webpush":
                await self._check_endpoint(device)
            registered = await self._store.devices.register(device)
            # It may be day where it is now.
            await self._store.push_jobs.reconsider(device.user, now=self._clock_ms())
        if registered.taken_from is not None:
            log.info("device_taken_over", device=device.id, provider=device.provider)
        return registered.device

    async def unregister(self, user: str, request: DeviceUnregister) -> Done:
        """Nothing happens where there is none."""
        with told():
            await self._store.devices.remove(user, [request.device])
        return Done()

    async def list(self, user: str, request: DeviceList) -> DevicesResult:
        del request
        with told():
            found = await self._store.devices.of_user(user)
        return DevicesResult([rendered(one) for one in found])

    async def vapid_key(self, request: PushVapidKey) -> PushVapidKeyResult:
        """That of the newest key: what browsers have subscribed with before goes on to work while it is kept."""
        with told():
            key = await self._endpoints.vapid_key(request.app)
        if key is None:
            raise ClientError(
                codes.NOT_AVAILABLE,
                f"has no key for Web Push: the operator adds one, `hubbub push app add webpush {request.app}"
                " --subject mailto:push@example.com`",
                "app",
            )
        return PushVapidKeyResult(key)

    async def _check_endpoint(self, device: Device) -> None:
        try:
            await self._endpoints.check(device.app, device.address)
        except OSError as error:
            raise ClientError(codes.BAD_REQUEST, str(error), "address") from None


def asked(user: str, request: DeviceRegister, *, at: int) -> Device:
    """The device that a request describes. Raises ClientError for what breaks a rule. Pure, but for time zones, which
    the system has.
    """
    kind = _kind(request)
    if request.provider == "apns" and _APNS_TOKEN.fullmatch(request.address) is None:
        raise ClientError(codes.BAD_REQUEST, "a token of APNs is given in hexadecimal", "address")
    if request.provider == "webpush" and request.keys is None:
        raise ClientError(codes.BAD_REQUEST, "a subscription has keys", "keys")
    if request.environment == "sandbox" and request.provider != "apns":
        raise ClientError(codes.BAD_REQUEST, "only APNs has a sandbox", "environment")
    check_time_zone(request.time_zone, "time_zone")
    return Device(
        user=user,
        install=request.device,
        provider=request.provider,
        app=request.app,
        # Hexadecimal in either case is the same token.
        address=request.address.lower() if request.provider == "apns" else request.address,
        address_kind=kind,
        created_at=at,
        confirmed_at=at,
        environment=request.environment,
        platform=request.platform,
        keys=_keys(request.keys, "keys"),
        vapid_key=request.vapid_key.rstrip("="),
        content_keys=_keys(request.content_keys, "content_keys"),
        locale=request.locale,
        time_zone=request.time_zone,
        caps=tuple(dict.fromkeys(request.caps)),
        meta=tuple(request.meta.items()),
    )


def rendered(device: Device) -> words.Device:
    """A device as its user sees it."""
    return words.Device(
        id=device.install,
        provider=device.provider,
        app=device.app,
        environment=device.environment,
        address_kind=device.address_kind,
        created_at=device.created_at,
        confirmed_at=device.confirmed_at,
        platform=device.platform,
        locale=device.locale,
        time_zone=device.time_zone,
        caps=list(device.caps),
        meta=dict(device.meta),
        encrypted=device.content_keys is not None,
    )


def check_time_zone(name: str, field: str) -> None:
    """Raises ClientError for what is no time zone; empty is none, which is fine."""
    if not name:
        return
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ClientError(codes.BAD_REQUEST, "is no time zone that is known here, like Europe/Berlin", field) from None


def _kind(request: DeviceRegister) -> AddressKind:
    kinds = KINDS[request.provider]
    kind = request.address_kind
    if isinstance(kind, UnsetType):
        return kinds[0]
    if kind not in kinds:
        raise ClientError(codes.BAD_REQUEST, f"of {request.provider} it is {' or '.join(kinds)}", "address_kind")
    return kind


def _keys(keys: PushKeys | None, field: str) -> DeviceKeys | None:
    if keys is None:
        return None
    p256dh = _bytes(keys.p256dh, P256DH_BYTES, f"{field}.p256dh")
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), p256dh)
    except ValueError:
        raise ClientError(codes.BAD_REQUEST, "is no point on P-256", f"{field}.p256dh") from None
    return DeviceKeys(p256dh, _bytes(keys.auth, AUTH_BYTES, f"{field}.auth"))


def _bytes(text: str, length: int, field: str) -> bytes:
    bare = text.rstrip("=")
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ClientError(codes.BAD_REQUEST, "is not base64url", field) from None
    if len(data) != length:
        raise ClientError(codes.BAD_REQUEST, f"must have {length} bytes, has {len(data)}", field)
    return data
