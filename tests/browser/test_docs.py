"""The documentation in Chromium: found, read, copied, and the API tried from its own description."""

import re

import pytest
from playwright.async_api import Page, expect

from browser.chromium import DESKTOP, PHONE, Pages
from browser.local import Local
from browser.playground import new_group

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIDER = "element => element.scrollWidth - element.clientWidth"


async def api_page(pages: Pages, local: Local, *, size: tuple[int, int] = DESKTOP, at: str = "") -> Page:
    page = await pages.open(f"{local.http}/docs/api{at}", size=size)
    await expect(page.locator(".sign-in").get_by_role("status")).to_have_text("Signed in as alice.")
    return page


def forgive_refusals(pages: Pages) -> None:
    """Browsers complain of every answer that refuses, those that were asked for too."""
    pages.complaints[:] = [one for one in pages.complaints if "the server responded with a status of 4" not in one]


async def test_an_operation_is_found_and_tried_as_a_demo_user(pages: Pages, local: Local) -> None:
    conversation = await new_group(local, texts=("for the page of the API",))
    page = await api_page(pages, local)
    await page.get_by_role("searchbox").fill("get conversations/{conversation}/messages")
    operation = page.locator("#historyPage")
    await operation.locator("summary").first.click()
    await expect(operation.get_by_label("conversation")).to_have_value(conversation)
    await operation.get_by_label("limit").fill("1")
    await operation.get_by_role("button", name="Send").click()
    await expect(operation.locator(".status")).to_contain_text("200")
    await expect(operation.locator(".answer")).to_contain_text("for the page of the API")
    await expect(page.locator("#messageGet")).to_be_visible()
    await expect(page.locator("#messageSend")).to_be_hidden()


async def test_a_body_is_an_example_that_works(pages: Pages, local: Local) -> None:
    conversation = await new_group(local)
    page = await api_page(pages, local, at="#messageSend")
    operation = page.locator("#messageSend")
    await expect(operation.get_by_label("conversation")).to_have_value(conversation)
    await operation.get_by_role("button", name="Send").click()
    await expect(operation.locator(".status")).to_contain_text("201")
    await operation.get_by_role("button", name="Send").click()
    # The same key is the same message.
    await expect(operation.locator(".status")).to_contain_text("200")
    await expect(operation.locator(".answer")).to_contain_text('"duplicate": true')


async def test_a_refusal_is_shown_as_it_is(pages: Pages, local: Local) -> None:
    page = await api_page(pages, local, at="#conversationList")
    operation = page.locator("#conversationList")
    await operation.get_by_label("limit").fill("1000")
    await operation.get_by_role("button", name="Send").click()
    await expect(operation.locator(".status")).to_contain_text("400")
    await expect(operation.locator(".answer")).to_contain_text("/limit")
    forgive_refusals(pages)


async def test_somebody_else_or_a_token_of_ones_own(pages: Pages, local: Local) -> None:
    page = await api_page(pages, local, at="#userGetOfCaller")
    status = page.locator(".sign-in").get_by_role("status")
    await page.get_by_role("button", name="bob").click()
    await expect(status).to_have_text("Signed in as bob.")
    await page.get_by_label("or with a token").fill(local.token("carol", ttl_s=60))
    await page.keyboard.press("Tab")
    await expect(status).to_have_text("Signed in.")
    operation = page.locator("#userGetOfCaller")
    await operation.get_by_role("button", name="Send").click()
    await expect(operation.locator(".answer")).to_contain_text('"id": "carol"')
    await page.get_by_label("or with a token").fill("nonsense")
    await page.keyboard.press("Tab")
    await expect(status).to_contain_text("Not signed in: ")
    forgive_refusals(pages)


@pytest.mark.parametrize("path", ["/docs/api#messageSend", "/docs/reference", "/docs"])
async def test_nothing_is_wider_than_a_phone(pages: Pages, local: Local, path: str) -> None:
    page = await pages.open(f"{local.http}{path}", size=PHONE)
    await expect(page.get_by_role("heading").first).to_be_visible()
    if path.startswith("/docs/api"):
        await page.locator("#messageSend .answer-kind summary").first.click()
    assert await page.locator("html").evaluate(WIDER) <= 0


async def test_blocks_of_code_can_be_copied(pages: Pages, local: Local) -> None:
    context = await pages.context()
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await pages.open(f"{local.http}/docs/quickstart", context=context)
    block = page.locator(".copyable").first
    await block.hover()
    await block.get_by_role("button", name="Copy").click()
    await expect(block.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == (await block.locator("pre").inner_text()).rstrip()


async def test_every_operation_can_be_opened(pages: Pages, local: Local) -> None:
    page = await api_page(pages, local)
    count = await page.locator(".op").count()
    assert count > 50
    await page.evaluate("for (const one of document.querySelectorAll('.op')) one.open = true")
    await expect(page.locator(".op > .op-body")).to_have_count(count)
    await page.evaluate("for (const one of document.querySelectorAll('.op-body details')) one.open = true")
    await expect(page.locator("body")).not_to_contain_text(re.compile(r"undefined|\[object"))
