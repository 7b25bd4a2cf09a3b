"""Push on the admin page, in a real browser over a real store."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright, expect

from chat.admin.links import mint
from chat.admin.live import Live, running
from chat.admin.pushes import Pushes
from chat.admin.routes import admin_routes
from chat.config.push import PushSection
from chat.metrics.snapshot import Lane
from chat.push.reviving import reviving_of
from chat.push.trials import Trials
from storage.model.push import Doubt, Step, Trace
from storage.store import Store, migrate_database, open_store
from support.admin_cluster import SECRET, admin, cluster, now_ms
from support.pushing import a_device

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
LANE = "apns|production|app"
C = "c" * 26

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium, or set CHROMIUM")


@pytest.fixture
async def store(mongodb_url: str, database_name: str) -> AsyncIterator[Store]:
    await migrate_database(mongodb_url, database_name)
    async with open_store(mongodb_url, database_name) as one:
        yield one


@asynccontextmanager
async def opened(store: Store, *lanes: Lane, told: list[str] | None = None) -> AsyncIterator[Page]:
    """The page, signed in and at push. `told`: the lanes that workers are told of."""
    fake = cluster()
    live = Live(fake, lambda: fake.processes[0].snapshot, fake, clock=now_ms, monotonic=lambda: 0.0)
    trials, hear = Trials(store.push_jobs, clock_ms=now_ms), ([] if told is None else told).append
    pushes = Pushes(
        store,
        trials,
        reviving_of(PushSection(), store, clock_ms=now_ms),
        lambda: {"w1": lanes},
        clock_ms=now_ms,
        tell_reset=hear,
    )
    app = web.Application()
    app.add_routes(admin_routes(replace(admin(fake, live), pushes=pushes)))

    async def close(_: web.Application) -> None:
        live.close()

    app.on_shutdown.append(close)
    async with running(live), TestServer(app) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        expect.set_options(timeout=30_000)
        page = await browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(f"{server.make_url('/admin/login')}#{mint(SECRET, now_ms())}")
        await expect(page.locator(".tile").first).to_be_visible()
        await page.keyboard.press("4")
        yield page
        await browser.close()
    assert complaints == []


async def buried(store: Store) -> None:
    device, now = a_device(), now_ms()
    await store.push_jobs.put([Doubt(device.id, "ada", C, LANE, 1, 2, now - 1_000, ends_at=now + 60_000)], now=now)
    (job,) = await store.push_jobs.claim(LANE, 1, now=now, lease_ms=1_000)
    await store.push_jobs.bury(job, "BadPayload", now=now)


async def test_a_lane_that_is_left_alone_and_a_dead_letter_that_is_sent_again(store: Store) -> None:
    await buried(store)
    async with opened(store, Lane(LANE, "open", 0, "InvalidProviderToken", now_ms() + 600_000)) as page:
        row = page.get_by_role("region", name="Lanes").locator("tbody tr")
        await expect(row).to_contain_text("left alone")
        await expect(row).to_contain_text("InvalidProviderToken")
        letters = page.get_by_role("region", name="Dead letters").locator("tbody tr")
        await expect(letters).to_contain_text("BadPayload")
        for width in (320, 390, 768, 1920, 1280):
            await page.set_viewport_size({"width": width, "height": 800})
            await expect(page.locator("html")).to_have_js_property("scrollWidth", width)
        await letters.get_by_role("button", name="Send again").click()
        await expect(letters).to_have_count(0)
    assert await store.push_jobs.get(a_device().id, C) is not None


async def test_a_lane_is_used_again_and_its_devices_are_brought_back(store: Store) -> None:
    device = (await store.devices.register(a_device(confirmed_at=now_ms() - 60_000))).device
    suspect = now_ms() - 30_000
    assert await store.devices.tombstone(device, reason="Unregistered", at=suspect)
    told: list[str] = []
    lane = Lane(LANE, "open", 0, "too_many_devices_gone", now_ms() + 600_000, suspect)
    async with opened(store, lane, Lane("fcm|production|app", "closed", 0), told=told) as page:
        lanes = page.get_by_role("region", name="Lanes")
        await expect(lanes.get_by_role("button", name="Bring back devices")).to_have_count(2)
        await lanes.get_by_role("button", name="Bring back devices").first.click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("radio").first).to_be_checked()
        await expect(dialog).to_contain_text("when too many began to be gone")
        await dialog.get_by_role("button", name="Bring back").click()
        said = page.get_by_role("status").filter(has_text="1 device of apns · app brought back.")
        await expect(said).to_be_visible()
        assert [one.install for one in await store.devices.of_user("ada")] == ["phone"]
        # Only a lane that is left alone; by the keyboard, and not without a question.
        again = lanes.get_by_role("button", name="Use again")
        await expect(again).to_have_count(1)
        await again.focus()
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_visible()
        await page.keyboard.press("Escape")
        assert told == []
        # The table is filled anew meanwhile, and what has the focus keeps it.
        async with page.expect_response("**/admin/api/push"):
            await expect(again).to_be_focused()
        await expect(again).to_be_focused()
        await page.keyboard.press("Enter")
        async with page.expect_response("**/admin/api/push/reset"):
            await dialog.get_by_role("button", name="Use again").click()
        await expect(page.get_by_role("status").filter(has_text="Workers use apns · app again")).to_be_visible()
        for width in (320, 390, 768, 1280):
            await page.set_viewport_size({"width": width, "height": 800})
            await expect(page.locator("html")).to_have_js_property("scrollWidth", width)
    assert told == [LANE]


async def test_a_test_is_sent_and_what_becomes_of_it_appears(store: Store) -> None:
    device = (await store.devices.register(a_device())).device
    async with opened(store) as page:
        await page.get_by_label("User", exact=True).fill("ada")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Send a test").click()
        conversation = page.get_by_label("Conversation", exact=True)
        await expect(conversation).to_have_value(re.compile("^pushtest"))
        traced = await conversation.input_value()
        sent = Trace(now_ms(), Step.ANSWERED, traced, 1, 1, "alert:accepted", "", "ada", device.id, LANE)
        await store.push_traces.write([sent])
        await expect(page.get_by_role("region", name="Trace").locator("tbody tr")).to_contain_text("alert:accepted")
