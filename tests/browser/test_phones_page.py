"""The page of the demo phones in Chromium, against `hubbub dev`: what the emulators are sent is seen there."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from browser.chromium import PHONE, Pages
from browser.local import Local
from chat.cli.dev_phones import APP
from chat.config import load
from chat.push.apps import Apps
from chat.push.emulated import vendors_at
from chat.push.lab.whereabouts import LAB_VARIABLE, whereabouts
from chat.push.sending import Accepted, Address, Kind, Push, WebKeys
from chat.push.sending import Provider as Vendor
from chat.push.vendors import open_vendors
from chat.sealing import Sealer
from storage.store import open_store
from support.push_words import notification

pytestmark = pytest.mark.asyncio(loop_scope="module")

Send = Callable[..., Awaitable[None]]
OWNERS = {"demo-iphone": "alice", "demo-android": "bob", "demo-browser": "carol"}


@asynccontextmanager
async def sending(local: Local) -> AsyncIterator[Send]:
    """To a demo phone, as a worker does: what was registered, with the credentials that are kept, to where the file of
    `hubbub dev` leads.
    """
    data = Path(local.ready["redis_url"].removeprefix("unix://")).parent.parent
    config = load(data / "config.toml", {}).config
    where = whereabouts({LAB_VARIABLE: str(data / "lab.json")})
    assert where is not None
    async with (
        open_store(config.mongodb.url.reveal(), config.mongodb.database) as store,
        open_vendors(vendors_at(where)) as openers,
    ):
        apps = Apps(store, Sealer.from_config(config), clock_ms=lambda: 0)
        await apps.look()

        async def send(phone: str, **changes: Any) -> None:
            (device,) = [one for one in await store.devices.of_user(OWNERS[phone]) if one.install == phone]
            vendor = Vendor(device.provider)
            keys = WebKeys(device.keys.p256dh, device.keys.auth) if device.keys else None
            to = Address(device.id, vendor, APP, device.address_kind, device.address, keys=keys)
            async with openers[vendor](apps.of(vendor, APP), "production") as sender:
                verdict = await sender.send(Push(to, notification(**changes), time.time() + 60))
            assert isinstance(verdict, Accepted)

        yield send


def phone(page: Page, name: str) -> Any:
    return page.get_by_role("listitem", name=name, exact=True)


async def test_each_phone_shows_what_it_gets_and_takes_it_away(pages: Pages, local: Local) -> None:
    page = await pages.open(f"{local.http}/play/phones")
    await expect(page.get_by_role("status")).to_have_text("Live")
    async with sending(local) as send:
        for install, name in (
            ("demo-iphone", "Alice's iPhone"),
            ("demo-android", "Bob's Android"),
            ("demo-browser", "Carol's browser"),
        ):
            one = phone(page, name)
            # Beside what the demo itself has for them.
            banner = one.locator(".banner").filter(has_text="Ada")
            await expect(banner).to_have_count(0)
            await send(install, job_id="a")
            await expect(banner.locator(".banner-title")).to_have_text("Ada")
            await expect(banner.locator(".banner-body")).to_have_text("Tea at five?")
            await expect(banner.locator(".banner-when")).to_contain_text("Rang ")
            await expect(one.locator(".phone-badge")).to_have_text("4")
            await send(install, job_id="b", upto=8, body="Five it is.", badge=5)
            await expect(banner.locator(".banner-body")).to_have_text(["Five it is."])
            await expect(one.locator(".phone-told")).to_have_text(re.compile(r"Rang [2-9] times · badge 5"))
        for install, name in (("demo-iphone", "Alice's iPhone"), ("demo-android", "Bob's Android")):
            await send(install, kind=Kind.CLEAR, job_id="c", upto=8, title="", body="", badge=0)
            await expect(phone(page, name).locator(".banner").filter(has_text="Ada")).to_have_count(0)
            await expect(phone(page, name).get_by_label("What has happened")).to_contain_text("Cleared · Ada: Five")


async def test_a_phone_that_was_offline_gets_it_by_keyboard(pages: Pages, local: Local) -> None:
    page = await pages.open(f"{local.http}/play/phones", size=PHONE)
    one = phone(page, "Alice's iPhone")
    offline = one.get_by_role("switch", name="Offline")
    await offline.focus()
    await page.keyboard.press("Space")
    await expect(offline).to_have_attribute("aria-checked", "true")
    async with sending(local) as send:
        await send("demo-iphone", job_id="d", collapse_id="d" * 32, body="Are you there?")
    log = one.get_by_label("What has happened")
    await expect(log).to_contain_text("A push waits")
    banner = one.locator(".banner").filter(has_text="Are you there?")
    await expect(banner).to_have_count(0)
    await page.keyboard.press("Space")
    await expect(banner).to_have_count(1)
    await expect(page.locator("#announcer")).to_have_text("Alice's iPhone: Rang · Ada: Are you there?")
    await one.get_by_role("button", name="Sweep away").click()
    await expect(one.locator(".banner")).to_have_count(0)
    wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide
