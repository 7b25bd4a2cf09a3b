"""An operator has a lane used again: what is pressed on a hub's admin page reaches the workers' breakers."""

import time

import aiohttp
import pytest

from chat.admin.links import mint
from chat.auth.admin_secret import admin_secret
from chat.push.dispatcher import Dispatcher
from support.ringing import Ringing
from support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANE = "apns|production|org.example.chat"


async def test_every_worker_hears_of_a_lane_that_is_used_again(ring: Ringing, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    reset = Dispatcher.reset

    def hear(dispatcher: Dispatcher, lane: str) -> bool:
        heard.append(lane)
        return reset(dispatcher, lane)

    # Before the worker is there: it hands on what it finds when it starts.
    await ring.stop_worker()
    monkeypatch.setattr(Dispatcher, "reset", hear)
    await ring.start_worker()
    async with aiohttp.ClientSession(ring.app.http, cookie_jar=aiohttp.CookieJar(unsafe=True)) as operator:
        token = mint(admin_secret(ring.config), time.time_ns() // 1_000_000)
        async with operator.post("/admin/api/login", json={"token": token}) as answer:
            headers = {"X-CSRF-Token": (await answer.json())["csrf_token"]}

        async def is_heard() -> bool:
            # Best effort, so again until it is heard.
            async with operator.post("/admin/api/push/reset", json={"lane": LANE}, headers=headers) as answer:
                assert (answer.status, await answer.json()) == (200, {"jobs": 0})
            return LANE in heard

        assert await eventually(is_heard)
    assert set(heard) == {LANE}
