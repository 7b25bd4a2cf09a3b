"""The page of the demo phones, and who may see and switch them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from chat.play.routes import DemoUser, Play, play_routes
from chat.push.lab.handset import Handset
from chat.push.lab.phones import Phone, Phones, Seen
from chat.push.lab.phones_http import open_phones
from chat.push.lab.whereabouts import Whereabouts
from support.push_words import Clock

Client = TestClient[web.Request, web.Application]


@dataclass
class Deployment:
    client: Client
    phones: Phones

    @property
    def own(self) -> dict[str, str]:
        return {hdrs.ORIGIN: f"http://{self.client.host}:{self.client.port}"}

    async def seen(self, version: str = "") -> Seen | None:
        async with self.client.get("/play/phones/seen", params={"version": version}) as response:
            assert response.headers[hdrs.CACHE_CONTROL] == "no-store"
            return None if response.status == 204 else msgspec.json.decode(await response.read(), type=Seen)

    async def turn(self, phone: str, switch: str) -> int:
        async with self.client.post(f"/play/phones/{phone}", json={"switch": switch}, headers=self.own) as response:
            return response.status


def _play(where: Whereabouts | None) -> web.Application:
    app = web.Application()
    app.add_routes(play_routes(Play([DemoUser("alice", "Alice")], str, "chat.example.com", where)))
    return app


@pytest.fixture
async def where() -> AsyncIterator[tuple[Whereabouts, Phones]]:
    phones, clock = Phones(clock=Clock()), Clock()
    phones.add(Phone("iphone", "Alice's iPhone", "alice", Handset("ios", "apple", clock=clock)))
    async with open_phones(phones, "secret") as url:
        yield Whereabouts({}, "", "", "", "", url, "secret"), phones


@pytest.fixture
async def deployment(where: tuple[Whereabouts, Phones], aiohttp_client: AiohttpClient) -> Deployment:
    return Deployment(await aiohttp_client(_play(where[0])), where[1])


async def test_the_page_has_the_policy_of_the_playground(deployment: Deployment) -> None:
    async with deployment.client.get("/play/phones") as response:
        assert response.status == 200
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        text = await response.text()
    assert "<style" not in text
    assert " style=" not in text
    assert "onclick" not in text
    async with deployment.client.get("/play/static/phones.html") as response:
        assert response.status == 404


async def test_what_is_seen_and_switched(deployment: Deployment) -> None:
    seen = await deployment.seen()
    assert seen is not None
    assert [phone.name for phone in seen.phones] == ["Alice's iPhone"]
    assert await deployment.turn("iphone", "offline") == 204
    after = await deployment.seen(seen.version)
    assert after is not None
    assert after.phones[0].switches["offline"]
    assert await deployment.turn("iphone", "dozing") == 400
    assert await deployment.turn("nobody", "offline") == 404


async def test_another_site_can_switch_nothing(deployment: Deployment) -> None:
    for headers in ({}, {hdrs.ORIGIN: "https://evil.example"}):
        async with deployment.client.post(
            "/play/phones/iphone", json={"switch": "offline"}, headers=headers
        ) as response:
            assert response.status == 403
    async with deployment.client.post("/play/phones/iphone", data="{}", headers=deployment.own) as response:
        assert response.status == 415


async def test_a_name_that_was_made_to_lead_here_sees_nothing(deployment: Deployment) -> None:
    headers = {hdrs.HOST: "rebound.evil.example"}
    async with deployment.client.get("/play/phones/seen", headers=headers) as response:
        assert response.status == 403


async def test_without_phones_the_page_is_there_and_nothing_else(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(_play(None))
    async with client.get("/play/phones") as response:
        assert response.status == 200
    async with client.get("/play/phones/seen") as response:
        assert response.status == 404


async def test_phones_that_are_gone_or_of_another_start_are_unavailable(
    where: tuple[Whereabouts, Phones], aiohttp_client: AiohttpClient
) -> None:
    for other in ({"phones_url": "http://127.0.0.1:1"}, {"phones_secret": "another"}):
        changed = msgspec.structs.replace(where[0], **other)
        client = await aiohttp_client(_play(changed))
        async with client.get("/play/phones/seen") as response:
            assert response.status == 503
