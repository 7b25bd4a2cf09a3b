"""What people, clients and other sites do to the pages, in a real browser: nothing of it runs, moves or is framed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, expect

from browser.chromium import Pages
from browser.local import Local
from browser.playground import Playground, new_group
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKUP = {
    "A8-an-image-that-fails": "<img src=x onerror=document.title='owned'>",
    "A8-a-script": "</script><script>document.title='owned'</script>",
    "A8-an-attribute": "\"'><svg onload=document.title='owned'>",
    "A8-a-link-that-runs": "javascript:document.title='owned'",
    "A8-a-frame": "<iframe srcdoc=\"<script>parent.document.title='owned'</script>\"></iframe>",
    "A8-a-template": "{{constructor.constructor('document.title=1')()}} ${document.title=1}",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in MARKUP.items()])
async def test_what_people_write_is_text(pages: Pages, local: Local, text: str) -> None:
    conversation = await new_group(local, texts=(text,))
    await local.call("alice", "conversation.update", conversation=conversation, title=text[:200])
    await local.call("bob", "user.update", name=text[:100])
    alice = await Playground.open(pages, local, "alice", conversation)
    await expect(alice.messages.first.locator(".words")).to_have_text(text)
    await expect(alice.item(conversation)).to_contain_text(text[:10])
    assert await alice.page.locator("main img[src=x], main script, main svg[onload], main iframe").count() == 0
    assert await alice.page.locator("a[href^='javascript:']").count() == 0
    assert "owned" not in await alice.page.title()


async def test_what_clients_call_themselves_is_text_to_the_admin(pages: Pages, local: Local) -> None:
    hostile = MARKUP["A8-an-image-that-fails"]
    async with wire_client(f"{local.http}/connection/websocket".replace("http", "ws", 1)) as client:
        await client.connect(local.token("alice", ttl_s=600), name=hostile, version=hostile)
        page = await pages.open(local.ready["admin"])
        await expect(page.locator("#status")).to_have_text("Live")
        await page.goto(f"{local.http}/admin#/connections")
        await expect(page.locator("tbody tr").first).to_be_visible()
        assert await page.locator("main img[src=x]").count() == 0
        assert "owned" not in await page.title()
        # The same browser, on another site of the same machine: the strict cookie is sent, and is not enough.
        async with foreign_page(f"{local.http}/admin/api/logout") as url:
            attacked = await page.context.new_page()
            await attacked.goto(url)
            await expect(attacked.locator("body")).to_contain_text("foreign_origin")
        await page.goto(f"{local.http}/admin")
        await expect(page.locator("#status")).to_have_text("Live")


@asynccontextmanager
async def foreign_page(action: str) -> AsyncIterator[str]:
    """A page of another origin that posts a form as soon as it is there."""
    form = f'<form id="f" method="post" enctype="text/plain" action="{action}"><input name=\'{{"x":"\' value=\'"}}\'>'
    page = f'<!doctype html>{form}</form><script>document.getElementById("f").submit()</script>'

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/admin/login", id="A9-the-admin-page"),
        pytest.param("/play", id="A9-the-playground"),
        pytest.param("/docs", id="A9-the-docs"),
    ],
)
async def test_no_other_page_puts_ours_in_a_frame(browser: Browser, local: Local, path: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=f'<!doctype html><iframe src="{local.http}{path}">', content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    context = await browser.new_context()
    said: list[str] = []
    async with TestServer(app) as server:
        page = await context.new_page()
        page.on("console", lambda message: said.append(message.text))
        await page.goto(str(server.make_url("/")))
        frame = page.frames[1]
        await frame.wait_for_load_state()
        assert frame.url.startswith("chrome-error:")
    assert any("frame-ancestors" in text for text in said), said
    await context.close()
