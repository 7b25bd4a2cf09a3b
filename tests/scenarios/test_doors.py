"""What answers before and beside the protocol: origins, health, metrics, pages."""

import aiohttp
import pytest

from support.app import serve_app, test_config
from support.waiting import eventually
from support.wire_client import wire_client


async def test_a_foreign_page_is_refused_before_the_upgrade(app):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(app.websocket, headers={"Origin": "https://evil.example"})
        assert refused.value.status == 403
        async with session.ws_connect(app.websocket, headers={"Origin": app.http}):
            pass  # a page of this very server
        async with session.ws_connect(app.websocket):
            pass  # a native app


async def test_over_the_connection_limit_the_upgrade_is_503_with_retry_after(
    mongodb_url, database_name, redis_url, redis_prefix
):
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, client__connection_limit=1)
    async with serve_app(config) as app, wire_client(app.websocket), aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(app.websocket)
        assert refused.value.status == 503
        assert refused.value.headers is not None
        assert int(refused.value.headers["Retry-After"]) >= 1


async def test_health_and_metrics(app):
    async with aiohttp.ClientSession(app.http) as session:
        assert (await session.get("/livez")).status == 200

        async def ready() -> bool:
            answer = await session.get("/readyz")
            body = await answer.json()
            return answer.status == 200 and body["status"] == "ok" and body["dependencies"]["mongodb"]["latency_ms"] > 0

        await eventually(ready)
        async with wire_client(app.websocket) as alice:
            await alice.connect(app.token("alice"))
            text = await (await session.get("/metrics")).text()
            assert 'hubbub_connections{codec="json"} 1.0' in text
            assert 'hubbub_commands_total{command="connect"} 1.0' in text


async def test_the_pages_are_served(app):
    async with aiohttp.ClientSession(app.http) as session:
        for path in ("/play", "/admin", "/docs", "/docs/reference"):
            answer = await session.get(path)
            assert answer.status == 200, path
            assert "text/html" in answer.headers["Content-Type"], path


async def test_an_expired_and_a_forged_token(app):
    async with wire_client(app.websocket) as late:
        assert (await late.connect(app.token("alice", ttl_s=-10)))["error"]["code"] == 109
    async with wire_client(app.websocket) as forger:
        await forger.send(connect={"token": app.token("alice")[:-3] + "abc"})
        assert await forger.closed() == 3500
        assert forger.close_reason is not None


async def test_the_token_of_another_user_does_not_refresh(app):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        await alice.send(refresh={"token": app.token("bob")})
        assert await alice.closed() == 3500


async def test_application_events_in_a_namespace(app):
    async with wire_client(app.websocket) as alice, app.api() as api:
        await alice.connect(app.token("alice"))
        assert (await alice.call(subscribe={"channel": "news:today"}))["recoverable"] is True
        answer = await api.post("/api/publish", json={"channel": "news:today", "data": {"n": 1}})
        assert (await answer.json())["result"]["offset"] == 1
        await alice.until(lambda: alice.publications("news:today"))
        assert alice.publications("news:today")[0]["data"] == {"n": 1}
        assert (await alice.call(subscribe={"channel": "other:today"}))["error"]["code"] == 102
        assert (await alice.call(publish={"channel": "news:today", "data": {}}))["error"]["code"] == 103
