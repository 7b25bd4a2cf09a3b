"""Whether a process is alive and wants traffic."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from chat import health as module
from chat.health import Health, health_routes


class Server:
    """A dependency that answers as it is told."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.frozen = False
        self.asked = 0

    async def ping_ms(self) -> float:
        self.asked += 1
        if self.frozen:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return 1.234


class World:
    """A health endpoint over two servers and a clock."""

    def __init__(self) -> None:
        self.mongodb, self.redis = Server(), Server()
        self.now = 0.0
        self.reason: str | None = None
        self.health = Health(
            required={"mongodb": self.mongodb},
            optional={"redis": self.redis},
            not_ready=lambda: self.reason,
            monotonic=lambda: self.now,
        )
        self.client: TestClient[web.Request, web.Application]

    async def ready(self) -> tuple[int, dict[str, Any]]:
        self.now += 10
        response = await self.client.get("/readyz")
        return response.status, await response.json()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    app = web.Application()
    app.add_routes(health_routes(world.health))
    async with TestClient(TestServer(app)) as client:
        world.client = client
        yield world


async def test_everything_there_is_ok_with_latencies(world: World) -> None:
    assert await world.ready() == (
        200,
        {
            "status": "ok",
            "reasons": [],
            "dependencies": {
                "mongodb": {"status": "ok", "latency_ms": 1.23, "reason": None},
                "redis": {"status": "ok", "latency_ms": 1.23, "reason": None},
            },
        },
    )


async def test_redis_away_is_degraded_and_still_ready(world: World) -> None:
    world.redis.failure = ConnectionRefusedError()
    status, body = await world.ready()
    assert (status, body["status"], body["reasons"]) == (200, "degraded", ["redis_unreachable"])
    assert body["dependencies"]["redis"] == {"status": "unavailable", "latency_ms": None, "reason": "unreachable"}


async def test_mongodb_away_is_not_ready(world: World) -> None:
    world.mongodb.failure = TimeoutError()
    status, body = await world.ready()
    assert (status, body["status"], body["reasons"]) == (503, "unavailable", ["mongodb_timeout"])


async def test_a_frozen_server_delays_the_answer_only_so_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PING_TIMEOUT_S", 0.01)
    world.mongodb.frozen = True
    status, body = await world.ready()
    assert (status, body["reasons"]) == (503, ["mongodb_timeout"])


@pytest.mark.parametrize("reason", ["draining", "not_migrated"])
async def test_a_process_that_wants_no_traffic_says_why(world: World, reason: str) -> None:
    await world.ready()
    world.reason = reason
    response = await world.client.get("/readyz")  # without time passing: draining shows at once
    assert response.status == 503
    assert (await response.json())["reasons"] == [reason]


async def test_many_that_ask_are_one_question(world: World) -> None:
    await asyncio.gather(*(world.client.get("/readyz") for _ in range(20)))
    assert (world.mongodb.asked, world.redis.asked) == (1, 1)


async def test_liveness_asks_nobody(world: World) -> None:
    world.mongodb.frozen = world.redis.frozen = True
    response = await world.client.get("/livez")
    assert response.status == 200
    assert world.mongodb.asked == 0


async def test_a_flapping_dependency_never_touches_liveness(world: World) -> None:
    for _ in range(3):
        world.mongodb.failure = ConnectionResetError()
        assert (await world.ready())[0] == 503
        assert (await world.client.get("/livez")).status == 200
        world.mongodb.failure = None
        assert (await world.ready())[0] == 200
