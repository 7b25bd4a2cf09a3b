"""Fixtures for tests in a browser: one local deployment and one Chromium per module.

Such a module runs on one event loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from browser.chromium import Pages, chromium
from browser.local import Local
from support.servers import short_directory

_PATIENCE_MS = 30_000  # the machine may be busy; what is there at once is seen at once


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    """`hubbub dev`, shared by the tests of a module: each makes conversations of its own."""
    with short_directory() as directory, Local.running(directory) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def pages(browser: Browser) -> AsyncIterator[Pages]:
    """Opens pages, closed after the test, which fails if one of them complained."""
    expect.set_options(timeout=_PATIENCE_MS)
    async with Pages.of(browser) as opened:
        yield opened
    assert opened.complaints == []
