"""Tokens, keys and what people write are in no log line, metric or answer of the admin page, whatever goes wrong.

A real process at level debug is taken through good and bad ways with distinctive secrets. Then everything it said is
searched for them, for parts of them, and for the beginning of any token.
"""

import base64
import contextlib
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import jwt
import pytest

from chat.admin.links import mint
from chat.sealing import new_key
from storage.local.redis_server import redis_server
from support.app import test_config
from support.hub_process import HubProcess, ready_hub
from support.raw_http import exchange
from support.servers import frozen, short_directory
from support.wire_client import wire_client

PART = 12
"""Characters of a secret that nothing else has in common with it."""


class Secrets:
    """What must not be said, by what it is."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}

    def new(self, name: str) -> str:
        """A secret text that is nowhere else."""
        return self.keep(name, secrets.token_urlsafe(32))

    def keep(self, name: str, text: str) -> str:
        self.all[name] = text
        return text

    def found_in(self, text: str) -> Iterator[str]:
        """The names of those of which a part is there, plain, as base64 or as hex."""
        for name, secret in self.all.items():
            encoded = [secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()]
            for one in encoded:
                parts = (one[start : start + PART] for start in range(0, max(1, len(one) - PART), PART))
                if any(part in text for part in parts):
                    yield name


@pytest.fixture
def kept() -> Secrets:
    return Secrets()


@pytest.fixture
async def hub(kept: Secrets, mongodb_url: str, database_name: str, redis_prefix: str) -> AsyncIterator[HubProcess]:
    async with own_redis() as (url, pid):
        config = test_config(mongodb_url, database_name, url, redis_prefix)
        settings = {
            "log.level": "debug",
            "token.hmac_secret_key": kept.new("the signing key"),
            "token.hmac_previous_secret_key": kept.new("the signing key before"),
            # Nobody answers there, and the address has a password in it.
            "token.jwks_public_endpoint": (
                f"http://user:{kept.new('the password of the key server')}@127.0.0.1:1/jwks"
                f"?key={kept.new('the key of the key server')}"
            ),
            "token.jwks_allow_private_network": True,
            "api.key": kept.new("the API key"),
            "admin.secret": kept.new("the admin secret"),
            "server.metrics_token": kept.new("the metrics token"),
            "secrets.keys": [kept.keep("the sealing key", new_key().partition(":")[2]).join(("k1:", ""))],
        }
        async with ready_hub(config, **{name.replace(".", "__"): value for name, value in settings.items()}) as hub:
            hub.environment["redis"] = str(pid)
            yield hub


@asynccontextmanager
async def own_redis() -> AsyncIterator[tuple[str, int]]:
    with short_directory() as directory:
        async with redis_server(directory, ephemeral=True) as server:
            yield server.url, server.pid


def signed(hub: HubProcess, kept: Secrets, name: str, **claims: object) -> str:
    now = int(time.time())
    full = {"sub": "ada", "iat": now, "exp": now + 600, "info": {"name": kept.new(f"info of {name}")}, **claims}
    return kept.keep(name, jwt.encode(full, str(hub.settings["token.hmac_secret_key"]), "HS256"))


async def test_nothing_secret_is_said(hub: HubProcess, kept: Secrets) -> None:
    good = signed(hub, kept, "a good token")
    await good_ways(hub, kept, good)
    await bad_sockets(hub, kept, good)
    await bad_requests(hub, kept, good)
    await bad_frames(hub, kept)
    with frozen(int(hub.environment["redis"])):
        await good_ways(hub, kept, signed(hub, kept, "a token while Redis is away"))
    said = await everything_else(hub, kept)
    hub.signal(signal.SIGHUP)
    hub.signal(signal.SIGTERM)
    await hub.ended()
    log = hub.log.read_text()
    assert len(log.splitlines()) > 10, "it said next to nothing: this shows nothing"
    for text in (log, said):
        lines = [line for line in text.splitlines() if list(kept.found_in(line))]
        assert not lines, [(list(kept.found_in(line)), line[:500]) for line in lines]
        assert "eyJ" not in text


async def good_ways(hub: HubProcess, kept: Secrets, token: str) -> None:
    """What people do every day."""
    async with wire_client(hub.websocket) as ada, aiohttp.ClientSession(hub.http) as http:
        assert (await ada.connect(token))["client"]
        group = await ada.rpc("conversation.create", kind="group", members=["bob"], title=kept.new("a title"))
        conversation = group["conversation"]["id"]
        text = kept.new("a message")
        sent = await ada.rpc("message.send", conversation=conversation, idempotency_key=text, text=text)
        assert "message" in sent, sent
        await ada.rpc("history.search", conversation=conversation, text=kept.new("a search"))
        invite = await ada.rpc("invite.create", conversation=conversation)
        kept.keep("an invite", invite["invite"]["code"])
        headers = {"Authorization": f"Bearer {token}"}
        for path in ("/v1/me", f"/v1/conversations/{conversation}/messages", f"/v1/invites/{invite['invite']['code']}"):
            async with http.get(path, headers=headers) as answer:
                await answer.read()
        async with http.patch("/v1/me", headers=headers, json={"name": kept.new("a name")}) as answer:
            assert answer.status == 200
        await api(http, hub, "publish", channel="news:x", data={"x": kept.new("a publication")})
        await ada.call(refresh={"token": signed(hub, kept, "a refreshed token")})


async def api(http: aiohttp.ClientSession, hub: HubProcess, method: str, **parameters: object) -> None:
    headers = {"X-API-Key": str(hub.settings["api.key"])}
    async with http.post(f"/api/{method}", headers=headers, json=parameters) as answer:
        assert answer.status == 200


async def bad_sockets(hub: HubProcess, kept: Secrets, good: str) -> None:
    now = int(time.time())
    gone = signed(hub, kept, "a revoked token", jti="gone")
    async with aiohttp.ClientSession(hub.http) as http:
        await api(http, hub, "revoke_token", uid="gone")
        await api(http, hub, "block_user", user="mallory")
        await api(http, hub, "invalidate_user_tokens", user="old", issued_before=now)
    bad = {
        "a forged token": good[:-8] + "AAAAAAAA",
        "an expired token": signed(hub, kept, "an expired token", exp=now - 10),
        "a token of a stranger's key": jwt.encode({"sub": "x"}, kept.new("a stranger's key"), "HS256"),
        "a token of an unknown key set key": jwt.encode({"sub": "x"}, "k" * 32, "HS256", {"kid": kept.new("a kid")}),
        "a token of nobody": signed(hub, kept, "a token of nobody", sub=kept.new("a user that is none") + " \n"),
        "a token for an unknown channel": signed(hub, kept, "a token for a channel", channels=[kept.new("a channel")]),
        "a revoked token": gone,
        "a token of a blocked user": signed(hub, kept, "a token of a blocked user", sub="mallory"),
        "an invalidated token": signed(hub, kept, "an invalidated token", sub="old", iat=now - 100),
        "no token at all": kept.new("no token at all"),
        "a token of another kind": jwt.encode({"sub": "x"}, "k" * 32, "HS256", {"typ": kept.new("a kind")}),
    }
    for name, token in bad.items():
        kept.keep(name, token)
        async with wire_client(hub.websocket) as client:
            await client.send(connect={"token": token, "data": {"x": kept.new(f"data with {name}")}})
            await client.until(lambda c=client: c.replies or c.close_code)
        async with wire_client(hub.websocket) as client:
            await client.connect(signed(hub, kept, f"before {name}"))
            await client.send(refresh={"token": token})
            await client.send(subscribe={"channel": "news:x", "token": token})
            await client.send(rpc={"method": kept.new("a method"), "data": {"x": kept.new("parameters")}})
            await client.until(lambda c=client: len(c.replies) > 2 or c.close_code)
        # As some write it, where it does not belong: into the address.
        query = {"token": token, "access_token": token, "cf_connect": json.dumps({"token": token})}
        async with aiohttp.ClientSession(hub.http) as http:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.ws_connect("/connection/websocket", params=query) as socket:
                    await socket.send_str(kept.new("what is no command"))
                    await socket.receive()
            async with http.get("/v1/me", params=query, headers={"Authorization": f"Bearer {token}"}) as answer:
                await answer.read()


async def bad_requests(hub: HubProcess, kept: Secrets, good: str) -> None:
    key = kept.new("a wrong API key")
    headers = {"Authorization": f"Bearer {good}"}
    async with aiohttp.ClientSession(hub.http) as http:
        for way in ({"X-API-Key": key}, {"Authorization": f"apikey {key}"}, {"Authorization": f"Basic {key}"}):
            async with http.post("/api/info", headers=way, params={"api_key": key}, json={}) as answer:
                assert answer.status == 401
        for body in (
            b'{"text": "' + kept.new("an unfinished body").encode(),
            json.dumps({kept.new("a field"): kept.new("a value")}).encode(),
            kept.new("a body that is none").encode(),
        ):
            for path in ("/v1/conversations", "/v1/rpc/message.send", "/v1/sync"):
                async with http.post(path, headers=headers, data=body) as answer:
                    assert answer.status >= 400
            await raw_api(http, hub, body)
        for path in (f"/{kept.new('a path')}", f"/v1/invites/{kept.new('an unknown invite')}", "/v1/conversations/x"):
            async with http.get(path, headers=headers) as answer:
                assert answer.status >= 400
        for token in (kept.new("a wrong admin link"), good):
            async with http.post("/admin/api/login", json={"token": token}) as answer:
                assert answer.status >= 400
        async with http.get("/metrics", headers={"Authorization": f"Bearer {key}"}) as answer:
            assert answer.status == 401


async def raw_api(http: aiohttp.ClientSession, hub: HubProcess, body: bytes) -> None:
    async with http.post("/api/publish", headers={"X-API-Key": str(hub.settings["api.key"])}, data=body) as answer:
        await answer.read()


async def bad_frames(hub: HubProcess, kept: Secrets) -> None:
    """What is no HTTP, and frames that are no commands."""
    for request in (
        f"GET /{kept.new('half a request')}",
        f"{kept.new('no verb')} / HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\nAuthorization {kept.new('a header without colon')}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {kept.new('a long header')}{'x' * 20000}\r\n\r\n",
    ):
        await exchange(hub.http, request.encode())
    for text in (kept.new("no JSON"), json.dumps({"id": 1, kept.new("a command"): {}}), '{"id": 1, "connect": "'):
        async with wire_client(hub.websocket) as client:
            await client.socket.send_str(text)
            await client.until(lambda c=client: c.replies or c.close_code)


async def everything_else(hub: HubProcess, kept: Secrets) -> str:
    """What the process shows of itself: metrics, health, and all data of the admin page."""
    shown = []
    async with (
        aiohttp.ClientSession(hub.http, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
        wire_client(hub.websocket) as ada,
    ):
        await ada.connect(signed(hub, kept, "a token that is looked at"))
        headers = {"Authorization": f"Bearer {hub.settings['server.metrics_token']}"}
        for path in ("/metrics", "/livez", "/readyz"):
            async with http.get(path, headers=headers) as answer:
                assert answer.status == 200
                shown.append(await answer.text())
        link = kept.keep("an admin link", mint(str(hub.settings["admin.secret"]).encode(), int(time.time() * 1000)))
        async with http.post("/admin/api/login", json={"token": link}) as answer:
            assert answer.status == 200
        for path in ("overview", "connections?search=ada", "conversations"):
            async with http.get(f"/admin/api/{path}") as answer:
                assert answer.status == 200, path
                shown.append(await answer.text())
        async with http.post(
            "/api/connections", headers={"X-API-Key": str(hub.settings["api.key"])}, json={"user": "ada"}
        ) as answer:
            shown.append(await answer.text())
    return "\n".join(shown)
