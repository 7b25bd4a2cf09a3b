"""The admin page of a real hub, tried with every credential but its own, and by pages of other sites."""

import re
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from chat.admin.links import mint
from chat.auth.admin_secret import admin_secret
from support.app import API_KEY, App, serve_app, test_config
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

METRICS_TOKEN = "a-token-of-the-scraper-in-the-tests"
READS = ("session", "overview", "live", "connections", "conversations")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(_mongodb: Any, _redis: Any, mongodb_url: str, redis_url: str) -> AsyncIterator[App]:
    name = f"test_{secrets.token_hex(6)}"
    config = test_config(mongodb_url, name, redis_url, name, server__metrics_token=METRICS_TOKEN)
    async with serve_app(config) as app:
        yield app
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


def link_of(app: App) -> str:
    secret = admin_secret(app.running.process.config)
    assert secret
    return mint(secret, int(time.time() * 1000))


@pytest_asyncio.fixture(loop_scope="module")
async def http(app: App) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser that is not signed in."""
    async with aiohttp.ClientSession(app.http, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def csrf_token(app: App, http: aiohttp.ClientSession) -> str:
    """Sign in; the token that a change needs."""
    async with http.post("/admin/api/login", json={"token": link_of(app)}) as response:
        assert response.status == 200
        return str((await response.json())["csrf_token"])


CREDENTIALS = {
    "A4-nothing": {},
    "A4-the-token-of-a-user": {"Authorization": "Bearer USER"},
    "A4-the-token-of-a-user-who-says-to-be-admin": {"Authorization": "Bearer ADMIN"},
    "A4-the-key-of-the-server-api": {"X-API-Key": API_KEY},
    "A4-that-key-as-authorization": {"Authorization": f"apikey {API_KEY}"},
    "A4-the-token-of-the-scraper": {"Authorization": f"Bearer {METRICS_TOKEN}"},
    "A4-a-link-as-token": {"Authorization": "Bearer LINK"},
    "A4-a-link-as-session": {"Cookie": "hubbub_admin=LINK"},
    "A4-basic": {"Authorization": "Basic YWRtaW46YWRtaW4="},
    "A5-another-method": {"X-HTTP-Method-Override": "GET"},
    "A5-another-user": {"X-Forwarded-User": "admin", "X-Remote-User": "admin", "Remote-User": "admin"},
    "A5-another-path": {"X-Original-URL": "/livez", "X-Rewrite-URL": "/livez"},
    "A5-from-this-machine": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
    "A5-another-host": {"X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https"},
}


@pytest.mark.parametrize("headers", [pytest.param(headers, id=name) for name, headers in CREDENTIALS.items()])
async def test_no_other_credential_opens_the_admin_page(
    app: App, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    stands_for = {
        "USER": app.token("alice"),
        "ADMIN": app.token("alice", role="admin", admin=True),
        "LINK": link_of(app),
    }
    given = {
        name: re.sub("USER|ADMIN|LINK", lambda match: stands_for[match[0]], value) for name, value in headers.items()
    }
    for path in READS:
        async with http.get(f"/admin/api/{path}", headers=given) as response:
            assert response.status == 401, path
            assert "no-store" in response.headers["Cache-Control"]
    for path in ("connections/x/disconnect", "logout"):
        async with http.post(f"/admin/api/{path}", headers=given, json={"reconnect": True}) as response:
            assert response.status == 401, path
    async with http.get("/admin", headers=given, allow_redirects=False) as response:
        assert response.status == 303


@pytest.mark.parametrize("query", [pytest.param("token", id="A6-a-link-in-the-query"), "ticket", "session"])
async def test_nothing_is_taken_from_the_address(app: App, http: aiohttp.ClientSession, query: str) -> None:
    for path in (*(f"/admin/api/{path}" for path in READS), "/metrics"):
        for secret in (link_of(app), METRICS_TOKEN, app.token("alice")):
            async with http.get(path, params={query: secret}) as response:
                assert response.status == 401, path


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="A10-without-a-token"),
        pytest.param({"Authorization": "Bearer wrong"}, id="A10-with-a-wrong-token"),
        pytest.param({"Authorization": f"bearer{METRICS_TOKEN}"}, id="A10-without-a-space"),
        pytest.param({"Authorization": f"Bearer {METRICS_TOKEN}x"}, id="A10-with-a-longer-token"),
        pytest.param({"Authorization": "Bearer \u00e9"}, id="A10-with-a-token-that-is-not-ascii"),
        pytest.param({"X-API-Key": API_KEY}, id="A10-with-the-key-of-the-server-api"),
        pytest.param({"X-Forwarded-For": "127.0.0.1"}, id="A10-as-if-from-this-machine"),
    ],
)
async def test_metrics_are_for_the_scraper(http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    async with http.get("/metrics", headers=headers) as response:
        assert response.status == 401
        assert "hubbub_" not in await response.text()
    async with http.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}) as response:
        assert response.status == 200


@pytest.mark.parametrize("field", [pytest.param("role", id="A4-role-by-patch"), "admin", "is_admin", "permissions"])
async def test_a_profile_has_no_rights_in_it(app: App, field: str) -> None:
    async with app.rest("alice") as rest:
        async with rest.patch("/v1/me", json={"name": "Alice", field: "admin"}) as response:
            assert response.status == 200
            assert field not in (await response.json())["user"]
        async with rest.get("/admin/api/overview") as response:
            assert response.status == 401


FORMS = {
    "A7-a-form": ("application/x-www-form-urlencoded", b"reconnect=true"),
    "A7-json-as-text": ("text/plain", b'{"reconnect": true}'),
    "A7-json-as-a-form": ("application/x-www-form-urlencoded", b'{"reconnect": true, "x": "=y"}'),
    "A7-parts": ("multipart/form-data; boundary=x", b"--x--"),
    "A7-json": ("application/json", b'{"reconnect": true}'),
}


@pytest.mark.parametrize(("content_type", "body"), [pytest.param(*form, id=name) for name, form in FORMS.items()])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        {},
    ],
    ids=["another-site", "a-sandboxed-frame", "another-port", "an-old-browser"],
)
async def test_another_site_disconnects_nobody(
    app: App, http: aiohttp.ClientSession, content_type: str, body: bytes, headers: dict[str, str]
) -> None:
    """With the cookie, which a strict one would not even be, but without the token, which that page cannot read."""
    await csrf_token(app, http)
    async with wire_client(app.websocket) as alice:
        client = (await alice.connect(app.token("alice")))["client"]
        path = f"/admin/api/connections/{client}/disconnect"
        async with http.post(path, data=body, headers={"Content-Type": content_type, **headers}) as response:
            assert response.status in (403, 415)
            assert "Access-Control-Allow-Origin" not in response.headers
        assert await alice.call(ping={}) == {}
        assert alice.close_code is None


async def test_and_its_own_page_does(app: App, http: aiohttp.ClientSession) -> None:
    token = await csrf_token(app, http)
    async with wire_client(app.websocket) as alice:
        client = (await alice.connect(app.token("alice")))["client"]
        headers = {"X-CSRF-Token": token, "Origin": app.http, "Sec-Fetch-Site": "same-origin"}
        path = f"/admin/api/connections/{client}/disconnect"
        async with http.post(path, json={"reconnect": False}, headers=headers) as response:
            assert response.status == 200
        assert await alice.closed() is not None


PAGES = {"A9-the-admin-page": "/admin/login", "A9-the-playground": "/play", "A9-the-docs": "/docs", "A9-answers": "/v1"}


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in PAGES.items()])
async def test_no_page_can_be_put_in_a_frame_or_has_inline_scripts(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        text = await response.text()
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in re.sub(r"style-src[^;]*", "", policy)
        assert "unsafe-eval" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in response.headers
    if response.content_type == "text/html":
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|\son\w+=\"", text)


@pytest.mark.parametrize("limit", ["0", "-1", "+5", "1_0", "１２", "²", " 5", "5\n", "9" * 5000, "", "1e1", "0x5"])
async def test_a_limit_of_the_admin_page_is_plain_digits(app: App, http: aiohttp.ClientSession, limit: str) -> None:
    await csrf_token(app, http)
    async with http.get("/admin/api/connections", params={"limit": limit}) as response:
        assert response.status == 400
