"""Fixtures for tests in a browser: one local deployment per module, one Chromium per test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import expect

from browser.chromium import Pages, chromium
from browser.local import Local
from support.servers import short_directory

_PATIENCE_MS = 15_000  # the machine may be busy; what is there at once is seen at once


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    """`hubbub dev`, shared by the tests of a module: each makes conversations of its own."""
    with short_directory() as directory, Local.running(directory) as running:
        yield running


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    """Opens pages. The test fails if one of them complained."""
    expect.set_options(timeout=_PATIENCE_MS)
    async with chromium() as browser:
        opened = Pages(browser)
        yield opened
    assert opened.complaints == []
