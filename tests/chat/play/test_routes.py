"""The page, its files, and who gets a token."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from chat.assets import Asset, load
from chat.play.answering import MAX_BODY_BYTES
from chat.play.routes import DemoUser, Play, play_routes

Client = TestClient[web.Request, web.Application]

USERS = (DemoUser("alice", "Alice"), DemoUser("bob", 'Bob "B" <b>'))


def _app(users: tuple[DemoUser, ...] = USERS) -> web.Application:
    app = web.Application()
    app.add_routes(play_routes(Play(users, mint=lambda user: f"token of {user}")))
    return app


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(_app())


def _own(client: Client) -> dict[str, str]:
    return {hdrs.ORIGIN: f"http://{client.host}:{client.port}"}


async def _ask(client: Client, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    async with client.post("/play/token", json=body, headers=_own(client) if headers is None else headers) as response:
        return response.status, await response.json(content_type=None)


async def test_a_demo_user_gets_a_token_on_the_page_of_this_server(client: Client) -> None:
    async with client.post("/play/token", json={"as": "bob"}, headers=_own(client)) as response:
        assert response.status == 200
        assert await response.json() == {"token": "token of bob", "user": "bob"}
        assert response.headers[hdrs.CACHE_CONTROL] == "no-store"


async def test_nobody_else_gets_one(client: Client) -> None:
    status, problem = await _ask(client, {"as": "mallory"})
    assert (status, problem["code"]) == (404, "not_found")


async def test_without_demo_users_there_are_no_tokens_but_there_is_the_page(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(_app(users=()))
    status, problem = await _ask(client, {"as": "alice"})
    assert (status, problem["code"]) == (404, "not_found")
    async with client.get("/play") as response:
        assert response.status == 200
        assert 'name="demo-users" content="[]"' in await response.text()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {hdrs.ORIGIN: "https://evil.example"},
        {hdrs.ORIGIN: "null"},
        {hdrs.ORIGIN: "http://["},
        {hdrs.ORIGIN: "{own}", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_page_of_another_site_gets_none(client: Client, headers: dict[str, str]) -> None:
    named = {name: value.replace("{own}", _own(client)[hdrs.ORIGIN]) for name, value in headers.items()}
    status, problem = await _ask(client, {"as": "alice"}, named)
    assert (status, problem["code"]) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.5", 200),
        ("localhost:8000", 200),
        ("chat.example.com", 200),
        ("rebound.evil.example:8000", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
async def test_a_name_that_was_made_to_lead_here_gets_no_token(
    aiohttp_client: AiohttpClient, host: str, status: int
) -> None:
    app = web.Application()
    app.add_routes(play_routes(Play([DemoUser("alice", "Alice")], str, "chat.example.com")))
    client = await aiohttp_client(app)
    headers = {"Host": host, "Origin": f"http://{host}"}
    answer = await client.post("/play/token", json={"as": "alice"}, headers=headers)
    assert answer.status == status


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b'{"as": "alice"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"as": 7}', "application/json", 400, "bad_request"),
        (b"{", "application/json", 400, "bad_request"),
        (b'"' + b"x" * MAX_BODY_BYTES + b'"', "application/json", 413, "limit_exceeded"),
    ],
)
async def test_what_is_no_such_request_is_refused(
    client: Client, body: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {**_own(client), hdrs.CONTENT_TYPE: content_type}
    async with client.post("/play/token", data=body, headers=headers) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        assert (await response.json(content_type=None))["code"] == code


async def test_the_page_knows_the_demo_users_and_their_names_are_no_markup(client: Client) -> None:
    async with client.get("/play?as=alice") as response:
        text = await response.text()
    assert "<b>" not in text
    assert "{&quot;id&quot;:&quot;alice&quot;,&quot;name&quot;:&quot;Alice&quot;}" in text


async def test_every_file_that_the_page_names_is_served(client: Client) -> None:
    async with client.get("/play") as response:
        page = await response.text()
    named = set(re.findall(r"/play/static/[\w./-]+", page))
    assert len(named) > 20
    for path in named:
        async with client.get(path) as response:
            assert response.status == 200, path


def test_every_module_is_fetched_at_once_and_none_is_left_over() -> None:
    served = load("chat.play")
    modules = {name for name in served if name.endswith(".js") and "/" not in name}
    mains = {"index.html": "main.js", "phones.html": "phones-main.js"}
    reached: set[str] = set()
    for page, main in mains.items():
        text = served[page].data.decode()
        named = set(re.findall(r'modulepreload" href="/play/static/([\w.-]+)"', text)) | {main}
        assert named == _reached(served, main), page
        reached |= named
    assert reached == modules


def _reached(served: Mapping[str, Asset], main: str) -> set[str]:
    """A module, and all that it leads to."""
    found, open_ends = {main}, [main]
    while open_ends:
        imported = set(re.findall(r'from "\./([\w.-]+)"', _text(served[open_ends.pop()])))
        open_ends += imported - found
        found |= imported
    return found


def _text(asset: Asset) -> str:
    return asset.data.decode() if asset.content_type == "text/javascript" else ""


async def test_nothing_runs_or_styles_the_page_but_files_of_this_server(client: Client) -> None:
    async with client.get("/play") as response:
        policy = dict(rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; "))
        page = await response.text()
    assert policy["default-src"] == "'none'"
    assert all(policy[kind] == "'self'" for kind in ("script-src", "style-src", "connect-src"))
    assert policy["img-src"] == "'self' data: blob:"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page)
    assert not re.search(r'(?:src|href)="(?!/play|#)', page)


async def test_an_unchanged_file_is_not_sent_again(client: Client) -> None:
    async with client.get("/play/static/app.js") as response:
        etag = response.headers[hdrs.ETAG]
        assert response.headers[hdrs.CACHE_CONTROL] == "no-cache"
    async with client.get("/play/static/app.js", headers={hdrs.IF_NONE_MATCH: etag}) as response:
        assert response.status == 304
        assert await response.read() == b""


async def test_a_file_is_the_same_packed_and_plain(client: Client) -> None:
    url = client.make_url("/play/static/app.js")
    async with client.session.get(url, headers={hdrs.ACCEPT_ENCODING: "identity"}) as response:
        assert hdrs.CONTENT_ENCODING not in response.headers
        plain = await response.read()
    asset = load("chat.play")["app.js"]
    assert gzip.decompress(asset.packed) == plain == asset.data


@pytest.mark.parametrize("file", ["nothing.js", "index.html", "..%2froutes.py", "package.json"])
async def test_there_are_no_other_files(client: Client, file: str) -> None:
    async with client.get(f"/play/static/{file}") as response:
        assert response.status == 404


def test_the_sdk_is_the_published_one() -> None:
    """centrifuge@5.8.0 on npm, dist/centrifuge.js; with another version comes another sum."""
    sum_ = hashlib.sha256(load("chat.play")["vendor/centrifuge/centrifuge-5.8.0.js"].data).hexdigest()
    assert sum_ == "2e9a24e8495900b030008edd8a8d3746a218a213044b5ed15635fbadac24d4b8"
