"""What is around every request: ids, headers, refusals in one form, other origins."""

import re

import pytest

import chat
from chat.http.resources import RESOURCES
from support.resting import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_unknown_query_parameters_are_told_the_known_ones(alice):
    async with alice.get("/v1/conversations?limitt=5") as response:
        told = await problem(response, 400, "bad_request")
    assert told["errors"][0]["pointer"] == "/limitt"
    assert {"limit", "before"} <= set(re.findall(r"\w+", told["detail"]))


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


@pytest.mark.parametrize("path", [pytest.param("/livez", id="R28-alive"), pytest.param("/readyz", id="R28-ready")])
async def test_health_tells_strangers_no_versions_and_no_hosts(app, http, path):
    config = app.running.process.config
    async with http.get(path) as response:
        text = await response.text() + str(response.headers)
    for secret in (chat.__version__, config.mongodb.database, "mongodb://", "redis:", "unix:", "Python", "aiohttp"):
        assert secret not in text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "file://", "https://app.example:444"])
@pytest.mark.parametrize("path", [pytest.param("/v1/me", id="R21-with-a-token"), pytest.param("/v1", id="R21-without")])
async def test_no_credentials_are_shared_with_other_origins(alice, path, origin):
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    for verb in ("GET", "OPTIONS"):
        async with alice.request(verb, path, headers=asked) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Access-Control-Allow-Credentials" not in response.headers
