"""The admin page over HTTP: who gets in, what is answered, what is refused."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from chat.admin.links import mint
from chat.admin.sessions import Session, to_cookie
from chat.assets import load
from support.admin_cluster import SECRET, FakeCluster, FakeProcess, admin_app, now_ms

API = ("session", "overview", "live", "connections", "conversations")

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def cluster() -> FakeCluster:
    processes = [FakeProcess("a", "0", "hub", 1.0, 1), FakeProcess("b", "0", "hub", 1.0, 2)]
    for process in processes:
        process.connect(30)
    return FakeCluster(processes)


@pytest.fixture
async def client(cluster: FakeCluster) -> AsyncIterator[Client]:
    """A browser that is not signed in."""
    async with (
        admin_app(cluster) as (app, _),
        TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client,
    ):
        yield client


async def sign_in(client: Client, token: str | None = None, **headers: str) -> ClientResponse:
    body = {"token": mint(SECRET, now_ms()) if token is None else token}
    return await client.post("/admin/api/login", json=body, headers=headers)


async def signed_in(client: Client) -> dict[str, str]:
    """Sign in; the headers that a change needs."""
    response = await sign_in(client)
    assert response.status == 200
    return {"X-CSRF-Token": (await response.json())["csrf_token"]}


async def some_connection(client: Client) -> str:
    page = await (await client.get("/admin/api/connections", params={"limit": "1"})).json()
    return str(page["items"][0]["client"])


async def code(response: ClientResponse) -> str:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json()
    assert body["status"] == response.status
    assert body["detail"]
    return str(body["code"])


# Getting in


async def test_a_link_starts_a_session_in_a_cookie_that_scripts_and_other_sites_cannot_use(client: Client) -> None:
    response = await sign_in(client)
    cookie = response.headers["Set-Cookie"]

    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    for part in ("HttpOnly", "SameSite=Strict", "Path=/admin", "Max-Age=43200"):
        assert part in cookie
    assert (await client.get("/admin/api/session")).status == 200
    assert (await client.get("/admin")).status == 200


async def test_a_link_works_once(client: Client) -> None:
    token = mint(SECRET, now_ms())
    statuses = [response.status for response in await asyncio.gather(*(sign_in(client, token) for _ in range(5)))]
    assert sorted(statuses) == [200, 401, 401, 401, 401]


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b", "é", mint(b"another secret, not ours", now_ms()), mint(SECRET, now_ms() - 700_000), "x" * 3_000],
)
async def test_a_wrong_or_old_link_is_refused(client: Client, token: str) -> None:
    response = await sign_in(client, token)
    assert (response.status, await code(response)) == (401, "unauthorized")
    assert "Set-Cookie" not in response.headers


async def test_guessing_is_throttled_and_does_not_lock_the_operator_out(client: Client) -> None:
    statuses = [(await sign_in(client, "guess")).status for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    refused = await sign_in(client, "guess")
    assert int(refused.headers["Retry-After"]) >= 1
    assert await code(refused) == "too_many_requests"
    assert (await sign_in(client)).status == 200


async def test_without_redis_one_still_gets_in(client: Client, cluster: FakeCluster) -> None:
    cluster.redis_away = True
    assert (await sign_in(client)).status == 200


@pytest.mark.parametrize("path", API)
async def test_the_api_answers_nobody_who_is_not_signed_in(client: Client, path: str) -> None:
    response = await client.get(f"/admin/api/{path}")
    assert (response.status, await code(response)) == (401, "unauthorized")


@pytest.mark.parametrize(
    "cookie",
    [
        "forged.cookie",
        to_cookie(b"another secret, not ours", Session("x", now_ms() + 1_000_000)),
        to_cookie(SECRET, Session("x", now_ms() - 1)),
        mint(SECRET, now_ms()),
    ],
    ids=["forged", "of another secret", "expired", "a link's ticket"],
)
async def test_a_forged_or_expired_session_is_none(client: Client, cookie: str) -> None:
    for headers in ({"Cookie": f"hubbub_admin={cookie}"}, {"Authorization": f"Bearer {cookie}"}):
        assert (await client.get("/admin/api/overview", headers=headers)).status == 401


async def test_headers_of_a_proxy_that_nobody_configured_open_nothing(client: Client) -> None:
    for header in ("X-Forwarded-User", "X-Original-URL", "X-Forwarded-For", "X-HTTP-Method-Override"):
        assert (await client.get("/admin/api/overview", headers={header: "admin"})).status == 401


async def test_the_page_sends_strangers_to_the_sign_in(client: Client) -> None:
    response = await client.get("/admin", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, "/admin/login")
    assert "no-store" in response.headers["Cache-Control"]


async def test_signing_out_ends_the_session_of_this_browser(client: Client) -> None:
    headers = await signed_in(client)
    assert (await client.post("/admin/api/logout", json={}, headers=headers)).status == 200
    assert (await client.get("/admin/api/session")).status == 401


# Changing something


async def test_a_connection_is_ended_and_told_whether_it_may_come_back(client: Client, cluster: FakeCluster) -> None:
    headers = await signed_in(client)
    for reconnect in (True, False):
        name = await some_connection(client)
        path = f"/admin/api/connections/{name}/disconnect"
        assert (await client.post(path, json={"reconnect": reconnect}, headers=headers)).status == 200
        assert cluster.disconnected[-1] == (name, reconnect)
        response = await client.post(path, json={"reconnect": reconnect}, headers=headers)
        assert (response.status, await code(response)) == (404, "not_found")


@pytest.mark.parametrize(
    ("headers", "slug"),
    [
        ({}, "csrf_token"),
        ({"X-CSRF-Token": "wrong"}, "csrf_token"),
        ({"X-CSRF-Token": "ü"}, "csrf_token"),
        ({"Origin": "https://evil.example"}, "foreign_origin"),
        ({"Origin": "null"}, "foreign_origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "foreign_origin"),
        ({"Sec-Fetch-Site": "same-site"}, "foreign_origin"),
    ],
)
async def test_another_site_cannot_make_a_browser_change_something(
    client: Client, cluster: FakeCluster, headers: dict[str, str], slug: str
) -> None:
    genuine = await signed_in(client)
    name = await some_connection(client)
    path = f"/admin/api/connections/{name}/disconnect"
    with_token = headers if slug == "csrf_token" else {**genuine, **headers}
    response = await client.post(path, json={"reconnect": True}, headers=with_token)
    assert (response.status, await code(response)) == (403, slug)
    assert cluster.disconnected == []


async def test_a_foreign_page_cannot_sign_a_browser_in(client: Client) -> None:
    response = await sign_in(client, None, Origin="https://evil.example")
    assert (response.status, await code(response)) == (403, "foreign_origin")


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b'{"reconnect": true}', "text/plain", 415),
        (b"reconnect=true", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"reconnect": 1}', "application/json", 400),
        (b'{"reconnect": true, "more": 1}', "application/json", 400),
        (b'{"reconnect": true' + b" " * 5_000 + b"}", "application/json", 413),
    ],
)
async def test_a_bad_body_is_refused_by_its_rule(
    client: Client, cluster: FakeCluster, data: bytes, content_type: str, status: int
) -> None:
    headers = {**await signed_in(client), "Content-Type": content_type}
    response = await client.post("/admin/api/connections/abc/disconnect", data=data, headers=headers)
    assert response.status == status
    await code(response)
    assert cluster.disconnected == []


@pytest.mark.parametrize("client_id", ["%0d%0aSet-Cookie:x", "a%20b", "a" * 65, "%F0%9F%92%A9"])
async def test_an_id_that_cannot_be_one_is_not_looked_for(client: Client, client_id: str) -> None:
    headers = await signed_in(client)
    path = f"/admin/api/connections/{client_id}/disconnect"
    assert (await client.post(path, json={"reconnect": True}, headers=headers)).status == 404


async def test_ending_a_connection_elsewhere_without_redis_says_so(client: Client, cluster: FakeCluster) -> None:
    headers = await signed_in(client)
    cluster.redis_away = True
    response = await client.post("/admin/api/connections/abc/disconnect", json={"reconnect": True}, headers=headers)
    assert (response.status, await code(response)) == (503, "unavailable")


# Looking


async def test_the_overview_has_every_process_and_the_sums(client: Client) -> None:
    await signed_in(client)
    overview = await (await client.get("/admin/api/overview")).json()
    assert overview["source"] == "all"
    assert overview["total"]["connections"] == 60
    assert {view["node"] for view in overview["processes"]} == {"a", "b"}
    assert overview["health"]["status"] == "ok"


async def test_connections_are_searched_ordered_and_limited(client: Client, cluster: FakeCluster) -> None:
    await signed_in(client)
    user = cluster.processes[0].connections[0].user
    process = cluster.processes[1].who.process
    found = await (await client.get("/admin/api/connections", params={"search": user.upper()})).json()
    assert {each["user"] for each in found["items"]} >= {user}
    assert all(user in each["user"] for each in found["items"])
    limited = {"order": "queued", "limit": "3", "process": process}
    found = await (await client.get("/admin/api/connections", params=limited)).json()
    assert found["matching"] == 30
    assert {each["process"] for each in found["items"]} == {process}
    queued = [each["queued_bytes"] for each in found["items"]]
    assert queued == sorted(queued, reverse=True)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("connections", {"limit": "0"}),
        ("connections", {"limit": "501"}),
        ("connections", {"limit": "-1"}),
        ("connections", {"limit": "1e3"}),
        ("connections", {"limit": "٣"}),
        ("connections", {"order": "random"}),
        ("connections", {"search": "x" * 129}),
        ("conversations", {"limit": "99999"}),
        ("live", {"scope": "x" * 129}),
    ],
)
async def test_a_bad_query_is_refused_by_its_rule(client: Client, path: str, query: dict[str, str]) -> None:
    await signed_in(client)
    response = await client.get(f"/admin/api/{path}", params=query)
    assert (response.status, await code(response)) == (400, "bad_request")


async def test_hot_conversations_are_the_busiest_first(client: Client) -> None:
    await signed_in(client)
    items = (await (await client.get("/admin/api/conversations", params={"limit": "5"})).json())["items"]
    rates = [each["deliveries_per_s"] for each in items]
    assert len(rates) == 5
    assert rates == sorted(rates, reverse=True)


# Pages and files


async def test_every_answer_carries_the_security_headers(client: Client) -> None:
    await signed_in(client)
    for path in (
        "/admin",
        "/admin/login",
        "/admin/static/app.js",
        "/admin/static/none",
        *(f"/admin/api/{p}" for p in API),
    ):
        response = await client.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        response.close()


def test_no_page_has_an_inline_script_or_style_or_anything_from_elsewhere() -> None:
    for name, asset in load("chat.admin").items():
        if name.endswith(".html"):
            text = asset.data.decode()
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
        if "vendor" not in name:
            assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", asset.data), name


def test_our_scripts_make_no_markup_of_strings() -> None:
    scripts = {
        name: asset.data for name, asset in load("chat.admin").items() if name.endswith(".js") and "vendor" not in name
    }
    assert scripts
    for name, data in scripts.items():
        assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", data), name


async def test_files_are_revalidated_and_packed(client: Client) -> None:
    first = await client.get("/admin/static/vendor/uplot/uPlot.esm.js", headers={"Accept-Encoding": "gzip"})
    assert first.status == 200
    assert first.content_type == "text/javascript"
    assert first.headers["Content-Encoding"] == "gzip"
    again = await client.get(
        "/admin/static/vendor/uplot/uPlot.esm.js", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert again.status == 304
    plain = await client.get("/admin/static/app.js", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("name", ["../routes.py", "..%2froutes.py", "%2e%2e/http.py", "vendor", "", "app.js/", "x"])
async def test_no_path_leads_out_of_the_static_files(client: Client, name: str) -> None:
    response = await client.get(f"/admin/static/{name}")
    assert response.status == 404


async def test_pages_never_stay_in_a_cache(client: Client) -> None:
    await signed_in(client)
    for path in itertools.chain(("/admin", "/admin/login"), (f"/admin/api/{path}" for path in API)):
        response = await client.get(path)
        assert response.headers["Cache-Control"] == "no-store"
        response.close()
