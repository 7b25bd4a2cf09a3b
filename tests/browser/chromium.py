"""Headless Chromium, the one that is installed, and pages whose complaints fail the test."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

DESKTOP: Final = (1280, 800)
PHONE: Final = (390, 844)

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A server that was stopped on purpose, and what it answers while it starts.
_CONNECTION: Final = re.compile(
    r"WebSocket connection to .* failed|WebSocket is already in CLOS|net::ERR_|status of 50[0-9]"
)


def executable() -> str:
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError("no Chromium: apt-get install chromium")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser, closed at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            await browser.close()


class Pages:
    """Opens pages and remembers what they complained about: errors in scripts, refused by the policy, missing files.

    That a server is away is no complaint: pages are to get along with that.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.complaints: list[str] = []

    @classmethod
    @asynccontextmanager
    async def of(cls, browser: Browser) -> AsyncIterator[Self]:
        """What is opened here is closed at the end."""
        known = list(browser.contexts)
        try:
            yield cls(browser)
        finally:
            for context in browser.contexts:
                if context not in known:
                    await context.close()

    async def context(self, size: tuple[int, int] = DESKTOP) -> BrowserContext:
        """A browser profile of its own: nothing is shared with other contexts."""
        width, height = size
        return await self._browser.new_context(
            viewport={"width": width, "height": height},
            has_touch=size == PHONE,
            is_mobile=size == PHONE,
            locale="en-GB",
            # What moves without end is drawn sixty times a second, and there is nothing but processors to draw it.
            reduced_motion="reduce",
        )

    async def open(self, url: str, *, size: tuple[int, int] = DESKTOP, context: BrowserContext | None = None) -> Page:
        page = await (context or await self.context(size)).new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"{url}: {error}"))
        page.on("console", lambda message: self._heard(url, message))
        await page.goto(url)
        return page

    def _heard(self, url: str, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _CONNECTION.search(message.text):
            self.complaints.append(f"{url}: {message.text}")
