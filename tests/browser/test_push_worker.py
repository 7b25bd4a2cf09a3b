"""The service worker that we give to sites, in a real Chromium: what the emulator has opened is handed to it."""

import asyncio
import dataclasses
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import CDPSession, Page

import chat.push.webpush
from browser.chromium import Pages
from chat.push.lab.webpush import Subscription, WebPushLab
from chat.push.sending import Accepted, Address, Kind, Notification, Provider, Push, WebKeys
from chat.push.webpush.origins import allowed_origins
from chat.push.webpush.sender import WebPushSender, open_web_push
from chat.push.webpush.settings import WebPushSettings
from chat.push.webpush.vapid import generate, parse_vapid
from support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKER = Path(chat.push.webpush.__file__).with_name("worker.js")
HELLO = Notification(
    Kind.ALERT, "job-1", "c" * 32, "conv-1", 1, "Ann", "Lunch?", badge=1, link="http://localhost/c/conv-1"
)
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map(({title, body, tag, silent, renotify, data}) => ({title, body, tag, silent, renotify, data}))"""


@dataclass
class Site:
    """A page with the worker, and somebody who sends to it."""

    page: Page
    cdp: CDPSession
    origin: str
    registration: str
    lab: WebPushLab
    sender: WebPushSender
    subscription: Subscription
    delivered: str = ""

    async def send(self, notification: Notification) -> None:
        """Through the sender and the emulator, whose part of the way ends where the browser's begins."""
        before = len(self.lab.accepted)
        keys = WebKeys(self.subscription.p256dh, self.subscription.auth)
        address = Address("d", Provider.WEBPUSH, "web", "subscription", self.subscription.endpoint, keys=keys)
        assert isinstance(await self.sender.send(Push(address, notification, time.time() + 60)), Accepted)
        assert len(self.lab.accepted) == before + 1
        await self.deliver(self.lab.accepted[-1].payload.decode())

    async def deliver(self, data: str) -> None:
        self.delivered = data
        await self._deliver()

    async def _deliver(self) -> None:
        await self.cdp.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": self.origin, "registrationId": self.registration, "data": self.delivered},
        )

    async def shown(self) -> list[dict[str, Any]]:
        return await self.page.evaluate(SHOWN)

    async def until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async def held() -> list[dict[str, Any]] | None:
            shown = await self.shown()
            return shown if holds(shown) else None

        # Chromium starts the worker for it, which takes its time on a busy machine. What finds it just ending is lost
        # this way, as no push service stands behind it: then it is handed over once more.
        for _ in range(3):
            try:
                found = await eventually(held, within_s=PATIENCE_S)
            except AssertionError:
                await self._deliver()
            else:
                assert found is not None
                return found
        raise AssertionError(f"not shown: {self.delivered}")


async def _page(request: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><link rel=icon href=data:,><title>site</title>", content_type="text/html")


async def _worker(request: web.Request) -> web.Response:
    return web.Response(text=WORKER.read_text(), content_type="text/javascript")


@pytest_asyncio.fixture(loop_scope="module")
async def site(pages: Pages) -> AsyncIterator[Site]:
    app = web.Application()
    app.router.add_get("/", _page)
    app.router.add_get("/worker.js", _worker)
    vapid = parse_vapid([generate(secrets.token_bytes)], "mailto:push@example.com")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TestServer(app, host="localhost"))
        lab = await stack.enter_async_context(WebPushLab(clock=time.time))
        sender = await stack.enter_async_context(
            open_web_push(
                vapid,
                clock=time.time,
                random=secrets.token_bytes,
                settings=WebPushSettings(origins=allowed_origins((lab.host,), loopback=True), deadline_s=PATIENCE_S),
                trust=lab.trust,
            )
        )
        origin = f"http://localhost:{server.port}"
        context = await pages.context()
        await context.grant_permissions(["notifications"], origin=origin)
        page = await pages.open(f"{origin}/", context=context)
        cdp = await context.new_cdp_session(page)
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def registered(event: dict[str, Any]) -> None:
            for one in event["registrations"]:
                if one["scopeURL"].startswith(origin) and not found.done():
                    found.set_result(one["registrationId"])

        cdp.on("ServiceWorker.workerRegistrationUpdated", registered)
        await cdp.send("ServiceWorker.enable")
        await page.evaluate(
            "async () => { await navigator.serviceWorker.register('/worker.js'); await navigator.serviceWorker.ready }"
        )
        registration = await asyncio.wait_for(found, PATIENCE_S)
        yield Site(page, cdp, origin, registration, lab, sender, lab.subscribe(vapid.keys[0].public))


async def test_a_message_is_shown_and_the_next_one_of_its_conversation_in_its_place(site: Site) -> None:
    await site.send(HELLO)
    (shown,) = await site.until(lambda shown: len(shown) == 1)
    assert (shown["title"], shown["body"], shown["tag"]) == ("Ann", "Lunch?", "c" * 32)
    assert (shown["silent"] or False, shown["renotify"]) == (False, True)
    assert shown["data"]["conversation"] == "conv-1"
    await site.send(dataclasses.replace(HELLO, job_id="job-2", body="Now!", upto=2))
    (shown,) = await site.until(lambda shown: [one["body"] for one in shown] == ["Now!"])
    assert shown["renotify"] is True
    await site.send(dataclasses.replace(HELLO, job_id="job-3", collapse_id="d" * 32, conversation="conv-2"))
    await site.until(lambda shown: len(shown) == 2)


async def test_the_same_one_again_makes_no_sound(site: Site) -> None:
    await site.send(HELLO)
    await site.until(lambda shown: len(shown) == 1)
    await site.send(dataclasses.replace(HELLO, body="Lunch? (again)"))
    (shown,) = await site.until(lambda shown: [one["body"] for one in shown] == ["Lunch? (again)"])
    assert (shown["silent"], shown["renotify"]) == (True, False)


async def test_a_quiet_one_makes_no_sound(site: Site) -> None:
    await site.send(dataclasses.replace(HELLO, kind=Kind.QUIET))
    (shown,) = await site.until(lambda shown: len(shown) == 1)
    assert shown["silent"] is True


async def test_what_was_read_goes_away_and_what_came_later_stays(site: Site) -> None:
    await site.send(HELLO)
    await site.until(lambda shown: len(shown) == 1)
    await site.send(dataclasses.replace(HELLO, job_id="job-2", collapse_id="d" * 32, conversation="conv-2", upto=9))
    await site.until(lambda shown: len(shown) == 2)
    tell = (
        """async (read) => (await navigator.serviceWorker.ready).active.postMessage({type: "hubbub.read", ...read})"""
    )
    await site.page.evaluate(tell, {"conversation": "conv-2", "upto": 8})
    await site.page.evaluate(tell, {"conversation": "conv-1", "upto": 1})
    shown = await site.until(lambda shown: len(shown) == 1)
    assert shown[0]["data"]["conversation"] == "conv-2"


@pytest.mark.parametrize("data", ["", "hello", "[]", "null", orjson.dumps({"notification": {}}).decode()])
async def test_whatever_arrives_something_is_shown(site: Site, data: str) -> None:
    await site.deliver(data)
    (shown,) = await site.until(lambda shown: len(shown) == 1)
    assert shown["title"] == "New message"
