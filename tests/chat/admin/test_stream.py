"""The live stream: everything first, then what is new, and nothing twice after a reconnect."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from chat.admin import live as live_module
from chat.admin import stream as module
from chat.admin.links import mint
from chat.admin.live import Live
from chat.admin.sessions import COOKIE, Session, to_cookie
from support.admin_cluster import SECRET, FakeCluster, FakeProcess, admin_app, now_ms
from support.waiting import eventually

Client = TestClient[web.Request, web.Application]


class World:
    """A signed-in client of a page over one fake hub, with the server's inside at hand."""

    def __init__(self, client: Client, cluster: FakeCluster, live: Live) -> None:
        self.client, self.cluster, self.live = client, cluster, live

    async def open(self, **query: str) -> ClientResponse:
        return await self.client.get("/admin/api/live", params=query)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(live_module, "WATCHED_INTERVAL_S", 0.02)
    own = FakeProcess("a", "0", "hub", 1.0, 1)
    own.connect(5)
    cluster = FakeCluster([own])
    async with (
        admin_app(cluster, past_s=30) as (app, live),
        TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client,
    ):
        await client.post("/admin/api/login", json={"token": mint(SECRET, now_ms())})
        yield World(client, cluster, live)


async def event(response: ClientResponse) -> tuple[str, int, Any]:
    """The next event: (name, id, data)."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(30):
        while True:
            line = (await response.content.readline()).decode().rstrip("\n")
            if not line and "data" in fields:
                return fields["event"], int(fields["id"]), json.loads(fields["data"])
            name, _, value = line.partition(": ")
            fields[name] = value


async def test_everything_comes_first_and_then_what_is_new(world: World) -> None:
    async with await world.open() as response:
        assert response.content_type == "text/event-stream"
        name, at, full = await event(response)
        assert name == "full"
        assert full["scope"] == "total"
        assert full["overview"]["total"]["connections"] == 5
        assert set(full["history"]) > {"at", "connections", "ack_p99_ms"}
        previous = at
        for _ in range(3):
            name, at, tick = await event(response)
            assert name == "tick"
            assert tick["overview"]["at"] == at > previous
            previous = at


async def test_the_history_is_that_of_the_scope_that_was_asked_for(world: World) -> None:
    for scope in ("total", "node:a", f"process:{world.cluster.processes[0].who.process}"):
        async with await world.open(scope=scope) as response:
            _, _, full = await event(response)
        assert full["scope"] == scope
        assert len(full["history"]["at"]) >= 30
        assert len(full["history"]["connections"]) == len(full["history"]["at"])
    async with await world.open(scope="node:unknown") as response:
        assert (await event(response))[2]["history"]["at"] == []


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_browser_that_comes_back_gets_the_part_it_missed(world: World, by: str) -> None:
    seen = int(world.live.history.columns("total")["at"][19] or 0)
    query = {"after": str(seen)} if by == "query" else {}
    headers = {"Last-Event-ID": str(seen)} if by == "header" else {}
    async with await world.client.get("/admin/api/live", params=query, headers=headers) as response:
        _, _, full = await event(response)
    assert full["history"]["at"][0] > seen
    assert len(full["history"]["at"]) >= 10
    assert len(full["history"]["at"]) < 30


@pytest.mark.parametrize("last", ["-1", "x", "9" * 40, "٣"])
async def test_an_event_id_that_is_none_means_from_the_start(world: World, last: str) -> None:
    async with await world.open(after=last) as response:
        assert len((await event(response))[2]["history"]["at"]) >= 30


async def test_streams_are_bounded_and_places_are_given_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAMS", 2)
    first, second = await world.open(), await world.open()
    refused = await world.open()
    assert refused.status == 503
    assert "Retry-After" in refused.headers
    first.close()
    second.close()

    async def is_open() -> bool:
        response = await world.open()
        response.close()
        return response.status == 200

    async with asyncio.timeout(30):
        while not await is_open():
            await asyncio.sleep(0.01)


async def test_a_stream_ends_with_its_session(world: World) -> None:
    world.client.session.cookie_jar.clear()
    soon = to_cookie(SECRET, Session("x", now_ms() + 300))
    async with await world.client.get("/admin/api/live", headers={"Cookie": f"{COOKIE}={soon}"}) as response:
        async with asyncio.timeout(30):
            assert (await response.content.read()).startswith(b"retry: ")


async def test_a_stream_ends_when_the_process_does(world: World) -> None:
    async with await world.open() as response:
        await event(response)
        world.live.close()
        async with asyncio.timeout(30):
            await response.content.read()


async def test_nobody_who_left_keeps_it_reading(world: World) -> None:
    response = await world.open()
    await event(response)
    response.close()
    await eventually(lambda: world.live._watchers == 0)


async def test_while_nothing_is_read_the_line_is_kept_warm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.01)
    async with await world.open() as response:
        await event(response)
        monkeypatch.setattr(live_module, "WATCHED_INTERVAL_S", 3600.0)
        async with asyncio.timeout(30):
            while await response.content.readline() != b": no news\n":
                pass
