"""What is around every request: ids, headers, refusals in one form, other origins."""

import asyncio
import io
import json
import re

import aiohttp
import pytest

from chat.http.resources import RESOURCES

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, object]:
    assert response.status == status
    assert response.content_type == "application/problem+json"
    told = json.loads(await response.read())
    assert (told["status"], told["code"]) == (status, code)
    assert told["instance"] == response.headers["X-Request-Id"]
    assert "Traceback" not in json.dumps(told)
    return told


async def test_every_answer_has_a_request_id_and_a_sane_one_is_kept(http):
    async with http.get("/v1", headers={"X-Request-Id": "mine-1"}) as response:
        assert response.headers["X-Request-Id"] == "mine-1"
    for given in ("", "a b", "x" * 129, "é"):
        async with http.get("/livez", headers={"X-Request-Id": given}) as response:
            assert response.headers["X-Request-Id"] not in ("", given)


async def test_answers_cannot_be_sniffed_framed_or_stored(alice):
    async with alice.get("/v1/conversations/nope") as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-store"
        assert "aiohttp" not in response.headers["Server"]


async def test_the_index_names_every_resource(http):
    async with http.get("/v1") as response:
        assert response.status == 200
        links = (await response.json())["links"]
    assert {(link["method"], link["href"]) for link in links} == {(one.verb, one.path) for one in RESOURCES}


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/conversations/", "/v1//conversations", "/V1X/..", "/api", "/v1/"])
async def test_a_path_that_is_not_there_is_404(alice, path):
    async with alice.get(path) as response:
        assert response.status == 404


async def test_a_path_under_v1_that_is_not_there_is_a_problem(http):
    async with http.get("/v1/nothing") as response:
        await problem(response, 404, "method_not_found")


async def test_another_verb_is_told_which_there_are(http):
    async with http.delete("/v1/conversations") as response:
        await problem(response, 405, "method_not_found")
        assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
    async with http.get("/api/publish") as response:
        await problem(response, 405, "method_not_found")
        assert response.headers["Allow"] == "POST"
    async with http.request("BREW", "/v1/me") as response:
        assert response.status in (400, 405)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: f"{one.verb} {one.path}")
async def test_nothing_is_for_strangers(http, resource):
    path = resource.path.replace("{offset}", "1").replace("{", "").replace("}", "")
    async with http.request(resource.verb, path, json={}) as response:
        await problem(response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="hubbub"'


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer nonsense", "Bearer a.b.c", "Bearer " + "x" * 8000, "é"],
)
async def test_what_is_no_token_of_ours_is_401(http, authorization):
    async with http.get("/v1/me", headers={"Authorization": authorization}) as response:
        await problem(response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_an_expired_token_says_so(app, http):
    headers = {"Authorization": f"Bearer {app.token('alice', ttl_s=-5)}"}
    async with http.get("/v1/me", headers=headers) as response:
        await problem(response, 401, "token_expired")
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


async def test_a_forged_token_is_refused(app, http):
    token = app.token("alice")
    async with http.get("/v1/me", headers={"Authorization": f"Bearer {token[:-6]}AAAAAA"}) as response:
        await problem(response, 401, "unauthorized")


async def test_tokens_are_not_taken_from_the_url(app, http):
    async with http.get("/v1/me", params={"token": app.token("alice")}) as response:
        await problem(response, 401, "unauthorized")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json;charset=zlib",
    ],
)
async def test_a_body_of_another_type_is_415(alice, content_type):
    async with alice.post("/v1/sync", data=b"{}", headers={"Content-Type": content_type}) as response:
        await problem(response, 415, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}x",
        b"\xef\xbb\xbf{}",
        b'{"epoch":"\xff"}',
        b'{"epoch":"\\ud800"}',
        b'{"epoch":NaN}',
        b"[" * 100_000,
        b'{"epoch":' + b"9" * 5_000 + b"}",
        b'{"revision":' + b"9" * 30 + b"}",
        b'{"revision":1e400}',
        b"nul",
        b"\x00",
    ],
    ids=range(12),
)
async def test_a_body_that_is_no_good_json_is_400(alice, body):
    async with alice.post("/v1/sync", data=body, headers={"Content-Type": "application/json"}) as response:
        await problem(response, 400, "bad_request")


async def test_wrong_types_are_pointed_at(alice):
    async with alice.post("/v1/conversations", json={"kind": "group", "members": ["bob", 7]}) as response:
        told = await problem(response, 400, "bad_request")
    assert told["errors"][0]["pointer"] == "/members/1"


async def test_unknown_query_parameters_are_told_the_known_ones(alice):
    async with alice.get("/v1/conversations?limitt=5") as response:
        told = await problem(response, 400, "bad_request")
    assert told["errors"][0]["pointer"] == "/limitt"
    assert {"limit", "before"} <= set(re.findall(r"\w+", told["detail"]))


async def test_a_body_over_the_limit_is_413(alice, app):
    limit = app.running.process.config.limits.request_max_size
    headers = {"Content-Type": "application/json"}
    async with alice.post("/v1/sync", data=io.BytesIO(b" " * (limit + 1)), headers=headers) as response:
        await problem(response, 413, "limit_exceeded")


async def test_a_body_in_chunks_over_the_limit_is_413(alice, app):
    limit = app.running.process.config.limits.request_max_size

    async def chunks():
        for _ in range(limit // 65_536 + 2):
            yield b" " * 65_536

    async with alice.post("/v1/sync", data=chunks(), headers={"Content-Type": "application/json"}) as response:
        await problem(response, 413, "limit_exceeded")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "nonsense"])
async def test_compressed_bodies_are_415(alice, coding):
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    async with alice.post("/v1/sync", data=b"{}", headers=headers) as response:
        await problem(response, 415, "bad_request")


async def test_pages_of_an_allowed_origin_may_call(alice):
    async with alice.get("/v1/nothing", headers={"Origin": "https://app.example"}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "Origin" in response.headers["Vary"]
        assert "ETag" in response.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example"])
async def test_pages_of_other_origins_get_no_cors_headers(alice, origin):
    async with alice.get("/v1/nothing", headers={"Origin": origin}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"]


async def test_preflights(http):
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    async with http.options("/v1/me", headers={"Origin": "https://app.example", **asked}) as response:
        assert response.status == 204
        assert "PUT" in response.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    async with http.options("/v1/me", headers={"Origin": "https://evil.example", **asked}) as response:
        told = await problem(response, 403, "permission_denied")
        assert "client.allowed_origins" in told["detail"]
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_server_api_is_not_for_pages(http):
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    async with http.options("/api/publish", headers=headers) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_method_override_is_not_heard(http):
    async with http.post("/v1/me", headers={"X-HTTP-Method-Override": "GET"}) as response:
        await problem(response, 405, "method_not_found")


async def test_a_body_that_breaks_off_harms_nothing(app, http):
    host, port = app.http.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + app.token("alice").encode()
        + b"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with http.get("/v1") as response:
        assert response.status == 200
