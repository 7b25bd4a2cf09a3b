"""The page in a real browser: it signs in, moves, finds, kicks, and says when it does not know."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp.test_utils import BaseTestServer, TestServer
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from chat.admin.links import mint
from chat.admin.live import Live
from support.admin_cluster import SECRET, FakeCluster, admin_app, cluster, now_ms

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium, or set CHROMIUM"),
    pytest.mark.asyncio(loop_scope="module"),
]

PATIENCE_MS = 30_000

HOSTILE = "<img src=x onerror=document.title='owned'>"


@dataclass
class World:
    """A page in front of a fake cluster whose traffic moves four times a second."""

    cluster: FakeCluster
    live: Live
    server: BaseTestServer
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return str(self.server.make_url("/")).rstrip("/") + path

    @asynccontextmanager
    async def visitor(self, *, width: int = 1280, height: int = 800, dark: bool = True) -> AsyncIterator[Page]:
        """A browser window that has not signed in. Whatever the console complains about is kept."""
        context: BrowserContext = await self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page = await context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        try:
            yield page
        finally:
            await context.close()

    async def sign_in(self, page: Page) -> None:
        await page.goto(self.url(f"/admin/login#{mint(SECRET, now_ms())}"))
        await expect(page.locator(".tile").first).to_be_visible()
        await expect(page.locator("#status")).to_have_text("Live")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield running
        await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def world(browser: Browser) -> AsyncIterator[World]:
    expect.set_options(timeout=PATIENCE_MS)
    fake = cluster()

    async def traffic() -> None:
        while True:
            await asyncio.sleep(0.25)
            fake.step(0.25)

    async with admin_app(fake, past_s=30) as (app, live), TestServer(app) as server:
        moving = asyncio.create_task(traffic())
        try:
            yield World(fake, live, server, browser)
        finally:
            moving.cancel()


def tile(label: str) -> str:
    return f".tile:has(> span:text-is('{label}')) strong"


async def test_the_numbers_move_and_the_console_is_silent(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        messages = page.locator(tile("Messages out"))
        before = await messages.text_content()
        assert before is not None
        await expect(messages).not_to_have_text(before)
        await expect(page.locator(tile("Connections"))).to_have_text("3,250")
        await expect(page.locator(".chart canvas")).to_have_count(8)
        await expect(page.locator(".chart .empty:visible")).to_have_count(0)
        await expect(page.locator("h2", has_text="4 processes on 2 nodes")).to_be_visible()
    assert world.complaints == []


async def test_a_new_connection_shows_by_itself(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        world.cluster.processes[0].connect(7)
        await expect(page.locator(tile("Connections"))).to_have_text("3,257")


async def test_a_link_signs_in_once_and_leaves_no_trace_in_the_address(world: World) -> None:
    token = mint(SECRET, now_ms())
    async with world.visitor() as first, world.visitor() as second:
        await first.goto(world.url(f"/admin/login#{token}"))
        await expect(first.locator(".tile").first).to_be_visible()
        assert token not in first.url
        await second.goto(world.url(f"/admin/login#{token}"))
        await expect(second.locator("#message")).to_have_text("This link was used already, or has expired.")
        assert token not in second.url
        await second.goto(world.url("/admin"))
        await expect(second.locator("#message")).to_have_text("You are not signed in.")


async def test_one_process_or_node_is_shown_when_it_is_chosen_and_stays_in_the_address(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        await page.select_option("#scope", "node:fra-2")
        await expect(page.locator(tile("Connections"))).to_have_text("780")
        await page.reload()
        await expect(page.locator(tile("Connections"))).to_have_text("780")
        await page.locator("td .link", has_text="hub 1").click()
        await expect(page.locator(tile("Connections"))).to_have_text("1,170")


async def test_a_connection_is_found_and_ended_after_a_question(world: World) -> None:
    wanted = world.cluster.processes[0].connections[3]
    async with world.visitor() as page:
        await world.sign_in(page)
        await page.keyboard.press("/")
        await page.locator("#search").fill(wanted.client)
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.locator("tbody button", has_text="Disconnect").click()
        await expect(page.locator("dialog")).to_contain_text(f"Disconnect {wanted.user}?")
        await page.keyboard.press("Escape")
        assert world.cluster.disconnected == []

        await page.locator("tbody button", has_text="Disconnect").click()
        await page.get_by_label("must not reconnect").check()
        await page.locator("dialog .danger").click()
        await expect(page.locator("tbody tr")).to_have_count(0)
    assert world.cluster.disconnected == [(wanted.client, False)]


async def test_what_clients_call_themselves_is_never_markup(world: World) -> None:
    hostile = world.cluster.processes[0]
    hostile.connections[0] = hostile.named(user=HOSTILE, sdk=HOSTILE, address=HOSTILE)
    hostile.hot_suffix = HOSTILE
    async with world.visitor() as page:
        await world.sign_in(page)
        await page.goto(world.url("/admin#/connections?search=onerror"))
        await expect(page.locator("tbody td").first).to_have_text(HOSTILE)
        await page.locator("tbody button").first.click()
        await expect(page.locator("dialog h2")).to_contain_text(HOSTILE)
        await page.keyboard.press("Escape")
        await page.goto(world.url("/admin#/conversations"))
        await expect(page.locator("tbody td").first).to_contain_text("<img")
        assert await page.locator("main img, dialog img").count() == 0
        assert "owned" not in await page.title()


async def test_a_server_that_goes_away_is_said_so_and_the_page_comes_back_with_it(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        await page.context.set_offline(offline=True)
        world.live.close()
        await expect(page.locator("#status")).to_have_text(re.compile("Down"))
        await expect(page.locator("#banner")).to_contain_text("The connection to the server is lost")
        world.live._closed = False
        await page.context.set_offline(offline=False)
        await expect(page.locator("#status")).to_have_text("Live")
        await expect(page.locator("#banner")).to_be_hidden()


async def test_a_reading_that_hangs_shows_as_stale(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)

        async def hang() -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(world.cluster, "readiness", hang)
        await expect(page.locator("#status")).to_have_text(re.compile("Stale"))
        await expect(page.locator("#banner")).to_contain_text("The server sends nothing new")


async def test_away_servers_and_hung_processes_are_named(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        world.cluster.redis_away = True
        await expect(page.locator("#banner")).to_contain_text("Redis cannot be reached: only this process is shown")
        await expect(page.locator("tr[data-state=unknown]")).to_have_count(3)
        world.cluster.redis_away = False
        world.cluster.mongodb_away = True
        await expect(page.locator("#banner")).to_contain_text("MongoDB cannot be reached")
        world.cluster.mongodb_away = False
        await expect(page.locator("#banner")).to_be_hidden()
        world.cluster.processes[3].frozen = True
        await expect(page.locator("#banner")).to_contain_text("fra-2 · hub 0: no news for")
        del world.cluster.processes[3]
        await expect(page.locator("tr[data-state=gone]")).to_have_count(1)


async def test_nothing_is_wider_than_the_window(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        for name in ("overview", "connections", "conversations"):
            await page.goto(world.url(f"/admin#/{name}"))
            await expect(page.locator("tbody tr").first).to_be_visible()
            for width in (320, 390, 768, 1280, 1920):
                await page.set_viewport_size({"width": width, "height": 800})
                # The charts follow the window when the browser next measures them.
                await expect(page.locator("html")).to_have_js_property("scrollWidth", width)


async def test_everything_can_be_done_from_the_keyboard(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        await page.keyboard.press("?")
        await expect(page.locator("dialog")).to_contain_text("Keyboard")
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_be_hidden()
        await page.keyboard.press("]")
        await expect(page.locator(".segments [aria-pressed=true]")).to_have_text("15 min")
        assert "range=900000" in page.url
        await page.keyboard.press("t")
        assert await page.evaluate("document.documentElement.dataset.theme") == "light"
        await page.keyboard.press("s")
        assert await page.evaluate("document.activeElement.id") == "scope"
        await page.locator(".brand").focus()
        for key, name in (("2", "connections"), ("3", "conversations"), ("1", "overview")):
            await page.keyboard.press(key)
            await expect(page.locator(f".tabs a[data-page={name}]")).to_have_attribute("aria-current", "page")


async def test_signing_out_asks_and_leaves(world: World) -> None:
    async with world.visitor() as page:
        await world.sign_in(page)
        await page.locator("#sign-out").click()
        await page.locator("dialog .primary").click()
        await expect(page.locator("#message")).to_have_text("You are not signed in.")
        await page.goto(world.url("/admin"))
        await expect(page.locator("#message")).to_have_text("You are not signed in.")
