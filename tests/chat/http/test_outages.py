"""What HTTP answers while a server that stands behind it is frozen."""

import asyncio
from typing import Any

import aiohttp
import pytest

from storage.local.mongod import mongod
from storage.local.redis_server import redis_server
from support.app import App, serve_app, test_config
from support.servers import frozen, short_directory
from support.waiting import eventually


@pytest.fixture
async def with_own_mongod(database_name, redis_url, redis_prefix):
    with short_directory() as directory:
        async with (
            mongod(directory, ephemeral=True) as server,
            serve_app(test_config(server.url, database_name, redis_url, redis_prefix)) as app,
        ):
            yield app, server.pid


@pytest.fixture
async def with_own_redis(mongodb_url, database_name, redis_prefix):
    with short_directory() as directory:
        async with redis_server(directory, ephemeral=True) as server:
            config = test_config(
                mongodb_url,
                database_name,
                server.url,
                redis_prefix,
                channel__namespaces=[{"name": "plain"}, {"name": "news", "history_size": 9, "history_ttl": "1m"}],
            )
            async with serve_app(config) as app:
                yield app, server.pid


async def group(session: aiohttp.ClientSession) -> str:
    async with session.post("/v1/conversations", json={"kind": "group"}) as response:
        return (await response.json())["conversation"]["id"]


async def call(app: App, name: str, **params: Any) -> Any:
    async with app.api() as api, api.post(f"/api/{name}", json=params) as response:
        return await response.json()


async def test_without_mongodb_the_answer_is_503_in_time(with_own_mongod):
    app, pid = with_own_mongod
    async with app.rest("alice") as alice:
        conversation = await group(alice)
        path = f"/v1/conversations/{conversation}/messages"
        body = {"text": "once", "idempotency_key": "k"}
        with frozen(pid):
            async with asyncio.timeout(10):
                for asked in (alice.post(path, json=body), alice.get(path)):
                    async with asked as response:
                        told = await response.json()
                        assert (response.status, told["code"]) == (503, "unavailable")
                        assert int(response.headers["Retry-After"]) >= 1
                        assert told["retry_after_ms"] >= 1
            answer = await call(app, "publish", channel=f"conv:{conversation}", data={"sender": "alice", **body})
            assert answer["error"]["code"] == 1000

        async def stored() -> bool:
            async with alice.post(path, json=body) as response:
                return response.status in (200, 201)

        await eventually(stored)
        async with alice.get(path) as response:
            assert [one["text"] for one in (await response.json())["items"]] == ["once"]


async def test_without_redis_conversations_go_on_and_histories_are_a_temporary_error(with_own_redis):
    app, pid = with_own_redis
    async with app.rest("alice") as alice:
        conversation = await group(alice)
        assert (await call(app, "publish", channel="news:a", data=1))["result"]["offset"] == 1
        with frozen(pid):
            async with asyncio.timeout(20):
                path = f"/v1/conversations/{conversation}/messages"
                async with alice.post(path, json={"text": "hi", "idempotency_key": "k"}) as response:
                    assert response.status == 201
                async with alice.post("/v1/presence", json={"users": ["alice"]}) as response:
                    assert response.status == 503
                assert "result" in await call(app, "publish", channel="plain:a", data=1)
                for refused in (
                    await call(app, "publish", channel="news:a", data=1),
                    await call(app, "publish", channel="plain:a", data=1, idempotency_key="k"),
                    await call(app, "history", channel="news:a"),
                ):
                    assert refused["error"]["code"] == 100
                assert "result" in await call(app, "channels")
                assert len((await call(app, "info"))["result"]["nodes"]) == 1
