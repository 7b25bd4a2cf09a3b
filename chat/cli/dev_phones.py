"""The phones of the demo users for `hubbub dev`: emulators of the vendors, credentials for them, registered devices."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from chat.cli.dev_keys import write_private
from chat.config import Config
from chat.control.proving import prove
from chat.push.apps import Apps
from chat.push.credentials import ApnsCredentials, Credentials, FcmCredentials, WebPushCredentials
from chat.push.lab.opening import DEMO_PHONES, Installed, Lab, open_lab
from chat.sealing import Sealer
from storage.model.device import Device, DeviceKeys
from storage.store import Store, open_store

APP: Final = "demo"
"""Names the credentials of the demo phones, with every provider."""

_FILE: Final = "lab.json"
_CONTACT: Final = "mailto:demo@example.org"


@asynccontextmanager
async def demo_phones(config: Config, directory: Path) -> AsyncIterator[tuple[Lab, Path]]:
    """Emulators that run until exit, with phones that are registered; and the file that says where they are, for
    HUBBUB_LAB. Raises StorageError, SealingError.
    """
    async with open_lab() as lab:
        await registered(config, lab)
        path = directory / _FILE
        await asyncio.to_thread(write_private, path, lab.whereabouts.dumped())
        yield lab, path


async def registered(config: Config, lab: Lab | None) -> None:
    """The credentials and devices of this lab, and none of an earlier one: nobody answers for those any more. None: of
    none. Raises StorageError, SealingError.
    """
    sealer = Sealer.from_config(config)
    url = config.mongodb.url.reveal()
    async with open_store(url, config.mongodb.database, app_name="hubbub-dev") as store:
        await prove(store, sealer)
        apps = Apps(store, sealer, clock_ms=_clock_ms)
        await _forget(store, apps)
        if lab is None:
            return
        for credentials in credentials_of(lab):
            await apps.add(APP, credentials, emulated=True)
        for installed in lab.installed:
            await store.devices.register(device_of(installed, at=_clock_ms()))


def credentials_of(lab: Lab) -> tuple[Credentials, ...]:
    """What the vendors gave to the app."""
    key = lab.apple_key
    return (
        ApnsCredentials(key.team, key.key_id, key.topic, key.private_key),
        FcmCredentials(lab.fcm.service_account),
        WebPushCredentials(lab.vapid.private, lab.vapid.public, _CONTACT, (lab.webpush.host,)),
    )


def device_of(installed: Installed, *, at: int) -> Device:
    """What the app on a demo phone registers."""
    phone, to = installed.phone, installed.subscription
    return Device(
        user=phone.user,
        install=phone.id,
        provider=installed.brought_by,
        app=APP,
        address=installed.address,
        address_kind="token" if to is None else "subscription",
        created_at=at,
        confirmed_at=at,
        platform=phone.handset.platform,
        keys=None if to is None else DeviceKeys(to.p256dh, to.auth),
        vapid_key="" if to is None else to.vapid_key,
        content_keys=DeviceKeys(installed.keys.p256dh, installed.keys.auth),
    )


async def _forget(store: Store, apps: Apps) -> None:
    for row in await apps.rows():
        if row.app == APP:
            await store.push_apps.remove(row.provider, row.app, row.name)
    for phone in DEMO_PHONES:
        await store.devices.remove(phone.user, [phone.id])


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000
