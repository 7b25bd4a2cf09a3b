"""All emulators at once, with throw-away keys and the demo phones: what `hubbub dev` starts, and tests of the whole.

What an app would be given by the vendors is handed out as they give it: a .p8 file, the JSON of an account, a pair of
keys. How that is kept is not known here.
"""

import asyncio
import base64
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from chat.push.lab.apns import ApnsEmulator, open_apns_emulator
from chat.push.lab.apns_rules import Environment, Registry
from chat.push.lab.apns_tls import ThrowAwayAuthority
from chat.push.lab.content_keys import ContentKeys
from chat.push.lab.fcm import FcmLab
from chat.push.lab.handset import Handset, Platform
from chat.push.lab.phones import Phone, Phones
from chat.push.lab.phones_http import open_phones
from chat.push.lab.webpush import Subscription, WebPushLab
from chat.push.lab.whereabouts import Whereabouts

TEAM: Final = "HUBBUBLAB1"
TOPIC: Final = "org.example.hubbub"
_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class AppleKey:
    """A .p8 file and what the developer's site says beside it."""

    team: str
    key_id: str
    topic: str
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VapidPair:
    """Base64url without padding: 32 bytes, and 65 uncompressed."""

    private: str = field(repr=False)
    public: str


@dataclass(frozen=True, slots=True)
class WantedPhone:
    """A phone to be there: `id` is its install, `name` what the page calls it."""

    id: str
    name: str
    user: str
    platform: Platform


DEMO_PHONES: Final = (
    WantedPhone("demo-iphone", "Alice's iPhone", "alice", "ios"),
    WantedPhone("demo-android", "Bob's Android", "bob", "android"),
    WantedPhone("demo-browser", "Carol's browser", "carol", "web"),
)


@dataclass(frozen=True, slots=True)
class Installed:
    """What the app on a phone tells the server. `address` is a secret, and so is `content_auth`.

    `subscription` is there in a browser.
    """

    phone: Phone
    brought_by: Literal["apns", "fcm", "webpush"]
    address: str = field(repr=False)
    keys: ContentKeys = field(repr=False)
    subscription: Subscription | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Lab:
    """Everything runs until the block of `open_lab` ends; faults are put into the emulators themselves."""

    apns: dict[Environment, ApnsEmulator]
    fcm: FcmLab
    webpush: WebPushLab
    phones: Phones
    apple_key: AppleKey
    vapid: VapidPair
    installed: tuple[Installed, ...]
    whereabouts: Whereabouts


@asynccontextmanager
async def open_lab(
    wanted: Sequence[WantedPhone] = DEMO_PHONES,
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Lab]:
    """Both environments of APNs, Firebase, a push service for browsers, and these phones, all on loopback at ports
    that are free. The keys are new each time.
    """
    phones = Phones(clock=clock)
    # It takes a good part of a second, which nothing else has to wait for.
    account = await asyncio.to_thread(rsa.generate_private_key, public_exponent=65537, key_size=_RSA_BITS)
    registry, authority = Registry(clock), ThrowAwayAuthority()
    apple_key = _apple_key(registry)
    async with AsyncExitStack() as stack:
        apns: dict[Environment, ApnsEmulator] = {}
        for environment in _ENVIRONMENTS:
            opened = open_apns_emulator(registry, environment, authority=authority, screen=phones)
            apns[environment] = await stack.enter_async_context(opened)
        fcm = await stack.enter_async_context(FcmLab(clock=clock, monotonic=monotonic, screen=phones, key=account))
        webpush = await stack.enter_async_context(WebPushLab(clock=clock, screen=phones))
        vapid = _vapid()
        installed = tuple(_install(one, registry, fcm, webpush, vapid, clock=clock) for one in wanted)
        for one in installed:
            phones.add(one.phone)
        secret = secrets.token_urlsafe(32)
        url = await stack.enter_async_context(open_phones(phones, secret))
        where = Whereabouts(
            apns_ports={environment: emulator.port for environment, emulator in apns.items()},
            apns_pem=authority.pem,
            fcm_url=fcm.url,
            webpush_host=webpush.host,
            webpush_pem=webpush.pem,
            phones_url=url,
            phones_secret=secret,
        )
        yield Lab(apns, fcm, webpush, phones, apple_key, vapid, installed, where)


_ENVIRONMENTS: Final[tuple[Environment, ...]] = ("production", "sandbox")


def _install(
    wanted: WantedPhone,
    registry: Registry,
    fcm: FcmLab,
    webpush: WebPushLab,
    vapid: VapidPair,
    *,
    clock: Callable[[], float],
) -> Installed:
    """An app on a new phone, as far as the vendor is concerned."""
    keys = ContentKeys()

    def phone(address: str, on_revoked: Callable[[str], None] = lambda _: None) -> Phone:
        handset = Handset(wanted.platform, address, clock=clock, unseal=keys.unseal, on_revoked=on_revoked)
        return Phone(wanted.id, wanted.name, wanted.user, handset)

    match wanted.platform:
        case "ios":
            token = secrets.token_hex(32)
            registry.add_device(token, TOPIC, "production")
            return Installed(phone(token), "apns", token, keys)
        case "android":
            token = fcm.register()
            return Installed(phone(token), "fcm", token, keys)
        case "web":
            to = webpush.subscribe(vapid.public)
            return Installed(phone(to.endpoint, lambda _: webpush.unsubscribe(to)), "webpush", to.endpoint, keys, to)


def _apple_key(registry: Registry) -> AppleKey:
    private = ec.generate_private_key(ec.SECP256R1())
    key_id = secrets.token_hex(5).upper()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    registry.add_key(TEAM, key_id, public.decode(), topics=[TOPIC])
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return AppleKey(TEAM, key_id, TOPIC, pem.decode())


def _vapid() -> VapidPair:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return VapidPair(_packed(private.private_numbers().private_value.to_bytes(32, "big")), _packed(public))


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
