"""From what a handler raises to what the caller is told, on a small application of its own."""

import asyncio
import json
import time
from collections import Counter

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from chat.auth.origin import OriginCheck
from chat.config import Config
from chat.http import decoding
from chat.http.addresses import ClientAddresses
from chat.http.deadlines import Pace
from chat.http.middleware import REQUEST_ID, edge_middlewares
from chat.limits.opening import open_limits
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

SECRET = "a secret in a message"


@pytest.fixture
async def client(aiohttp_client):
    raised: dict[str, Exception] = {
        "bug": RuntimeError(SECRET),
        "away": ConnectionError(SECRET),
        "late": TimeoutError(SECRET),
        "busy": ClientError(codes.TOO_MANY_REQUESTS, "slow down", retry_after_ms=1_500),
        "http": web.HTTPForbidden(text=SECRET),
        "teapot": web.HTTPUnprocessableEntity(text=SECRET),
    }

    async def fail(request: web.Request) -> web.Response:
        raise raised[request.match_info["how"]]

    async def echo(request: web.Request) -> web.Response:
        body = await decoding.read_json(request, max_bytes=1000)
        return web.Response(body=body, headers={"X-Same": request[REQUEST_ID]})

    app = web.Application(
        middlewares=edge_middlewares(
            OriginCheck([]), open_limits(Config(), Counter(), time.monotonic), ClientAddresses([]), "/docs/reference"
        )
    )
    app.add_routes([web.get("/v1/{how}", fail), web.post("/v1/echo", echo), web.get("/elsewhere/{how}", fail)])
    return await aiohttp_client(app)


async def problem(response, status: int) -> dict[str, object]:
    text = await response.text()
    assert response.status == status
    assert SECRET not in text
    return json.loads(text)


async def test_a_bug_is_500_and_is_logged_with_the_request(client):
    with capture_logs() as logs:
        response = await client.get("/v1/bug", headers={"X-Request-Id": "r-7"})
    told = await problem(response, 500)
    assert (told["code"], told["instance"]) == ("internal", "r-7")
    assert [(one["event"], one["path"], one["exc_info"]) for one in logs] == [("request_failed", "/v1/{how}", True)]


@pytest.mark.parametrize("how", ["away", "late"])
async def test_a_dependency_that_is_away_is_503(client, how):
    response = await client.get(f"/v1/{how}")
    assert (await problem(response, 503))["code"] == "unavailable"
    assert response.headers["Retry-After"] == "1"


async def test_too_many_requests_is_429(client):
    response = await client.get("/v1/busy")
    assert (await problem(response, 429))["retry_after_ms"] == 1_500
    assert response.headers["Retry-After"] == "2"


async def test_what_aiohttp_raises_becomes_a_problem(client):
    assert (await problem(await client.get("/v1/http"), 403))["code"] == "permission_denied"
    assert (await problem(await client.get("/v1/teapot"), 422))["code"] == "bad_request"


async def test_other_pages_keep_their_own_answers(client):
    response = await client.get("/elsewhere/http")
    assert (response.status, response.content_type) == (403, "text/plain")
    assert response.headers["X-Request-Id"]


async def test_the_id_of_a_request_is_the_one_in_its_answer(client):
    response = await client.post("/v1/echo", json={})
    assert response.headers["X-Same"] == response.headers["X-Request-Id"]


async def test_a_body_that_does_not_come_is_408(client, monkeypatch):
    monkeypatch.setattr(decoding, "BODY_PACE", Pace(0.05, 1000))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in answer
    writer.close()
    await writer.wait_closed()


async def test_a_body_without_an_end_harms_nothing(client):
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    writer.write_eof()
    async with asyncio.timeout(30):
        await reader.read()  # an answer or none; the next request is served in any case
    writer.close()
    await writer.wait_closed()
    assert (await client.post("/v1/echo", json={"a": 1})).status == 200
