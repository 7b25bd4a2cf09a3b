"""Push as it is served: a hub, workers and the vendors' emulators with phones, all real, in one process."""

import itertools
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import aiohttp

from chat.cli.dev_phones import APP, demo_phones
from chat.config import Config
from chat.push.apns.settings import ApnsSettings, ConnectionSettings
from chat.push.apps import Apps, open_apps
from chat.push.emulated import vendors_at
from chat.push.fcm.settings import FcmSettings
from chat.push.lab.apns_rules import Environment
from chat.push.lab.handset import Handset, Platform
from chat.push.lab.opening import TOPIC, Lab
from chat.push.lab.phones import Phone
from chat.push.lab.whereabouts import LAB_VARIABLE, Whereabouts
from chat.push.vendors import VendorSettings
from chat.push.webpush.settings import WebPushSettings
from chat.sealing import Sealer
from chat.worker import open_worker
from storage.model.device import device_id
from storage.mongo.client import Database, connect
from storage.mongo.migrate import migrate
from storage.mongo.schema import PUSH_JOBS
from storage.store import Store
from support.app import App, serve_app
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

SOON_S = 60.0
PLATFORMS: Final[tuple[Platform, ...]] = ("ios", "android", "web")
IMPATIENT: Final = VendorSettings(
    ApnsSettings(
        ConnectionSettings(deadline_s=1.5, ping_every_s=1.0, ping_answer_s=1.5, reconnect_s=0.1, drain_s=0.2),
        device_pause_s=0.5,
    ),
    FcmSettings(deadline_s=1.5),
    WebPushSettings(deadline_s=1.5),
)
"""A provider that does not answer is waited for a moment, and not ten seconds."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a person sees of a phone, and has heard."""

    bodies: tuple[str, ...]
    badge: int
    rings: int

    @classmethod
    def at(cls, handset: Handset) -> "Look":
        return cls(tuple(sorted(banner.body for banner in handset.tray)), handset.badge, handset.rings)


@dataclass
class Ringing:
    """Everybody takes users of their own (`somebody`), with new phones that the app on them registers at the hub.

    There are demo phones as well, by platform: Alice's iPhone, Bob's Android, Carol's browser.
    """

    config: Config
    app: App
    lab: Lab
    db: Database
    worker: AsyncExitStack = field(default_factory=AsyncExitStack)
    working: bool = False
    phones: dict[tuple[str, Platform], Handset] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _keys: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.app.running.process.store

    @property
    def apps(self) -> Apps:
        """To keep other keys, as the command line does."""
        return Apps(self.store, Sealer.from_config(self.config), clock_ms=lambda: time.time_ns() // 1_000_000)

    # The server.

    async def start_worker(self) -> None:
        """Unless there is one."""
        if not self.working:
            await self.worker.enter_async_context(open_worker(self.config))
            self.working = True

    async def stop_worker(self) -> None:
        self.working = False
        await self.worker.aclose()

    # People and what they have.

    def somebody(self) -> str:
        """A user who has not been there before."""
        return f"user-{next(self._numbers)}"

    @asynccontextmanager
    async def user(self, name: str, *, called: str = "", **data: Any) -> AsyncIterator[WireClient]:
        """Connected, by that name for others."""
        async with wire_client(self.app.websocket) as client:
            assert "error" not in await client.connect(self.app.token(name), **data)
            await client.rpc("user.update", name=called or name.title())
            yield client

    def phone(self, platform: Platform) -> Phone:
        """Of the demo."""
        return next(one.phone for one in self.lab.installed if one.phone.handset.platform == platform)

    async def everything(self, user: str) -> dict[Platform, Handset]:
        """An iPhone, an Android and a browser of this user."""
        return {platform: await self.get(user, platform) for platform in PLATFORMS}

    async def get(
        self, user: str, platform: Platform, *, token_of: Environment = "production", device: str = "", **fields: Any
    ) -> Handset:
        """A new phone with the app, which has registered. `token_of`: which environment of APNs knows its token.
        `device`: one more of the platform, by this name.
        """
        handset = self.installed(platform, token_of=token_of)
        address = next(iter(handset.addresses))
        self.lab.phones.add(Phone(f"{user}-{device or platform}", f"{platform} of {user}", user, handset))
        await self.register(user, platform, address, device=device, **fields)
        if not device:
            self.phones[user, platform] = handset
        return handset

    def installed(self, platform: Platform, *, token_of: Environment = "production") -> Handset:
        """The app on a new phone, as far as the vendor is concerned."""
        return Handset(platform, self._address(platform, token_of), clock=time.time)

    def _address(self, platform: Platform, token_of: Environment) -> str:
        lab = self.lab
        match platform:
            case "ios":
                token = secrets.token_hex(32)
                lab.apns["production"].registry.add_device(token, TOPIC, token_of)
                return token
            case "android":
                return lab.fcm.register()
            case "web":
                to = lab.webpush.subscribe(lab.vapid.public)
                self._keys[to.endpoint] = to.to_json()["keys"]
                return to.endpoint

    async def register(self, user: str, platform: Platform, address: str, *, device: str = "", **fields: Any) -> None:
        """As the app does at every start. `device`: what it calls itself, else by the platform."""
        described = {
            "provider": {"ios": "apns", "android": "fcm", "web": "webpush"}[platform],
            "app": APP,
            "address": address,
            "platform": platform,
            **({"keys": self._keys[address], "vapid_key": self.lab.vapid.public} if platform == "web" else {}),
            **fields,
        }
        async with self.app.rest(user) as session:

            async def registered() -> bool:
                async with session.put(f"/v1/devices/{device or platform}", json=described) as answer:
                    # Which may be repeated when it says so.
                    assert answer.status != 503
                    return await _is_well(answer)

            await eventually(registered)

    async def is_active(self, user: str, install: str) -> bool:
        found = await self.store.devices.get(device_id(user, install))
        return found is not None and found.active

    # What is to be seen.

    async def shows(self, platform: Platform, *bodies: str) -> None:
        """Wait until exactly these texts are on the demo phone's screen."""
        handset = self.phone(platform).handset

        def as_wanted() -> bool:
            assert [banner.body for banner in handset.tray] == list(bodies)
            return True

        await eventually(as_wanted, within_s=SOON_S)

    async def sees(
        self, user: str, *bodies: str, badge: int, rings: int = 1, on: tuple[Platform, ...] = PLATFORMS
    ) -> None:
        """Wait until exactly these texts are on every phone of the user, in any order, and nothing is to come: it rang
        so often, and this is the number.
        """
        wanted = {platform: Look(tuple(sorted(bodies)), badge, rings) for platform in on}

        def as_wanted() -> bool:
            seen = {platform: Look.at(self.phones[user, platform]) for platform in on}
            assert seen == wanted, f"{seen}, and not {wanted}"
            return True

        await eventually(as_wanted, within_s=SOON_S)
        await self.settled(user)
        as_wanted()

    async def settled(self, user: str) -> None:
        """Wait until there are no jobs of the user."""

        async def nothing_to_do() -> bool:
            assert await self.db[PUSH_JOBS].find({"user": user, "due": {"$exists": True}}).to_list(None) == []
            return True

        await eventually(nothing_to_do, within_s=SOON_S)

    async def hurry(self, user: str) -> None:
        """As if the time had come that the user's jobs wait for."""
        await self.db[PUSH_JOBS].update_many({"user": user, "due": {"$exists": True}}, {"$set": {"due": 1}})

    async def traced(self, user: str, conversation: str, offset: int, what: str) -> None:
        """Wait for a step of the user's trace, as `outcome:reason`."""

        async def is_there() -> bool:
            traces = await self.store.push_traces.of_message(conversation, offset, user=user)
            assert what in {f"{one.outcome}:{one.reason}" for one in traces}
            return True

        await eventually(is_there, within_s=SOON_S)


async def _is_well(answer: aiohttp.ClientResponse) -> bool:
    if answer.status != 200:
        raise RuntimeError(await answer.text())
    return True


@contextmanager
def impatience() -> Iterator[None]:
    """Workers opened in this block give their providers little time, and see other keys at once."""

    def led(where: Whereabouts, configured: VendorSettings) -> VendorSettings:
        return vendors_at(where, IMPATIENT)

    with ExitStack() as stack:
        stack.enter_context(patch("chat.push.opening.vendors_at", led))
        stack.enter_context(patch("chat.push.opening.open_apps", partial(open_apps, every_s=0.1)))
        yield


@asynccontextmanager
async def ringing(config: Config, directory: Path, *, worker: bool = True) -> AsyncIterator[Ringing]:
    """Emulators with the demo phones, one hub, and a worker unless it is not wanted yet."""
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(connect(config.mongodb.url.reveal(), config.mongodb.database))
        await migrate(db)
        lab, path = await stack.enter_async_context(demo_phones(config, directory))
        stack.enter_context(patch.dict(os.environ, {LAB_VARIABLE: str(path)}))
        stack.enter_context(impatience())
        app = await stack.enter_async_context(serve_app(config))
        one = Ringing(config, app, lab, db)
        stack.push_async_callback(one.stop_worker)
        if worker:
            await one.start_worker()
        yield one
