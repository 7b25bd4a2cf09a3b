"""Phones of a cluster, and the push services that they are reached by: emulators in the process of the harness.

Opened only for topologies that want them. The worker sends to them as it would to the vendors.
"""

import base64
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from chaos.hostile import Hostile, open_hostile
from chat.cli.dev_phones import credentials_of
from chat.push.apps import Apps
from chat.push.credentials import WebPushCredentials
from chat.push.lab.apns_tls import ThrowAwayAuthority
from chat.push.lab.arrivals import read_arrival
from chat.push.lab.content_keys import ContentKeys
from chat.push.lab.handset import Handset, Platform
from chat.push.lab.opening import TOPIC, Lab, open_lab
from chat.push.lab.phones import Phone
from chat.push.lab.screen import Brought
from chat.push.lab.webpush import Subscription
from chat.sealing import Sealer
from storage.store import open_store

APP: Final = "chaos"
HOSTILE: Final = 12
"""Push services of strangers that there are."""


@dataclass(frozen=True, slots=True)
class Came:
    """A push that reached a phone, at `at` (`time.monotonic`). `sound`: it was to ring; `rang`: it did."""

    at: float
    job: str
    conversation: str
    upto: int
    sound: bool
    rang: bool


class Heard(Handset):
    """A handset that remembers what came. `on_came` is called before the push service answers."""

    def __init__(self, platform: Platform, address: str) -> None:
        super().__init__(platform, address, clock=time.time)
        self.came: list[Came] = []
        self.on_came: Callable[[Came], None] = lambda _: None

    def show(self, brought: Brought, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        """See `Screen`."""
        rings = self.rings
        super().show(brought, address, headers, payload)
        arrival = read_arrival(brought, headers, payload, now_s=time.time())
        if arrival is None:
            return
        ours = arrival.ours
        came = Came(time.monotonic(), ours.job_id, ours.conversation, ours.upto, arrival.sound, self.rings > rings)
        self.came.append(came)
        self.on_came(came)


@dataclass(frozen=True, slots=True)
class Carried:
    """A device: its own name, what it registers, and what is seen on it; nothing is on one that nobody reaches."""

    install: str
    registration: Mapping[str, Any] = field(repr=False)
    screen: Heard | None = None
    subscription: Subscription | None = field(default=None, repr=False)


@dataclass
class Pocket:
    """`hostile`: push services of strangers. `path` is what leads a process of ours here, by HUBBUB_LAB."""

    lab: Lab
    hostile: tuple[Hostile, ...]
    path: Path

    def phone(self, platform: Platform) -> Carried:
        """A new one, as it should be."""
        install = f"{platform}-{secrets.token_hex(4)}"
        match platform:
            case "ios":
                address = secrets.token_hex(32)
                self.lab.apns["production"].registry.add_device(address, TOPIC)
                return self._carried(install, platform, address, {"provider": "apns", "address": address})
            case "android":
                address = self.lab.fcm.register()
                return self._carried(install, platform, address, {"provider": "fcm", "address": address})
            case "web":
                to = self.lab.webpush.subscribe(self.lab.vapid.public)
                asked = self._subscribed(to.endpoint, to.p256dh, to.auth)
                return self._carried(install, platform, to.endpoint, asked, to)

    def at(self, hostile: Hostile) -> Carried:
        """A browser, so it says, whose push service this is."""
        keys = ContentKeys()
        install = f"web-{secrets.token_hex(4)}"
        asked = self._subscribed(hostile.endpoint, keys.p256dh, keys.auth)
        return Carried(install, {**asked, "app": APP, "platform": "web"})

    def remove_app(self, carried: Carried) -> None:
        """The person did, after it had registered; the phone's push service says so from now on."""
        address = str(carried.registration["address"])
        if carried.registration["provider"] == "apns":
            device = self.lab.apns["production"].registry.devices[address]
            device.gone_at = _clock_ms()
        else:
            self.lab.fcm.unregister(address)

    def _carried(
        self,
        install: str,
        platform: Platform,
        address: str,
        asked: Mapping[str, Any],
        subscription: Subscription | None = None,
    ) -> Carried:
        screen = Heard(platform, address)
        self.lab.phones.add(Phone(install, install, "", screen))
        return Carried(install, {**asked, "app": APP, "platform": platform}, screen, subscription)

    def _subscribed(self, endpoint: str, p256dh: bytes, auth: bytes) -> dict[str, Any]:
        keys = {"p256dh": _packed(p256dh), "auth": _packed(auth)}
        return {"provider": "webpush", "address": endpoint, "keys": keys, "vapid_key": self.lab.vapid.public}


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@asynccontextmanager
async def open_pocket(url: str, database: str, key: str, directory: Path) -> AsyncIterator[Pocket]:
    """Everything until exit; what the app's keys are is put into the database, sealed by `key`."""
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(open_lab(()))
        authority = ThrowAwayAuthority()
        context = authority.server(["http/1.1"])
        hostile = tuple([await stack.enter_async_context(open_hostile(context)) for _ in range(HOSTILE)])
        origins = tuple(one.host for one in hostile)
        async with open_store(url, database, app_name="chaos") as store:
            apps = Apps(store, _sealer(key), clock_ms=_clock_ms)
            for credentials in credentials_of(lab):
                if isinstance(credentials, WebPushCredentials):
                    await apps.add(APP, replace(credentials, origins=(*credentials.origins, *origins)), emulated=True)
                else:
                    await apps.add(APP, credentials, emulated=True)
        path = directory / "lab.json"
        both = lab.whereabouts.webpush_pem + authority.pem
        path.write_text(msgspec.structs.replace(lab.whereabouts, webpush_pem=both).dumped())
        yield Pocket(lab, hostile, path)


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _sealer(key: str) -> Sealer:
    name, _, secret = key.partition(":")
    return Sealer({name: base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))})
