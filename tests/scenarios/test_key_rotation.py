"""Keys change while sockets are open: nobody notices the new one, and what the old one let in ends when it is gone."""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from chat.config import Config, ConfigError
from realtime.operations import AT_ONCE
from support.app import App, serve_app, test_config
from support.waiting import eventually
from support.wire_client import wire_client

SECONDS = 3.0
OLD, NEW = "the-old-key-of-the-tests-which-is-long-enough", "the-new-key-of-the-tests-which-is-long-enough"


@pytest.fixture
def configured(mongodb_url, database_name, redis_url, redis_prefix):
    def make(*keys: tuple[str, str], **more: object) -> Config:
        rows = [{"kid": kid, "algorithm": "HS256", "key": key} for kid, key in keys]
        return test_config(mongodb_url, database_name, redis_url, redis_prefix, **{"token__keys": rows, **more})

    return make


def token(user: str, key: object, kid: str, algorithm: str = "HS256") -> str:
    now = int(time.time())
    claims = {"sub": user, "iat": now, "exp": now + 600}
    return jwt.encode(claims, key, algorithm, {"kid": kid})  # type: ignore[arg-type]  # a key of cryptography too


async def status(app: App, given: str) -> int:
    async with app.rest("nobody") as rest, rest.get("/v1/me", headers={"Authorization": f"Bearer {given}"}) as answer:
        return answer.status


async def test_a_new_key_verifies_and_a_removed_one_ends_what_it_let_in(configured) -> None:
    first, both, second = (
        configured(("k1", OLD)),
        configured(("k1", OLD), ("k2", NEW)),
        configured(("k2", NEW)),
    )
    old, new = token("ada", OLD, "k1"), token("bob", NEW, "k2")
    async with serve_app(first) as app, AsyncExitStack() as stack:
        verifiers = app.running.process.verifiers
        ada, bob, cleo = [await stack.enter_async_context(wire_client(app.websocket)) for _ in range(3)]
        assert (await ada.connect(old))["client"]
        assert (await cleo.connect(app.token("cleo")))["client"]
        assert await status(app, new) == 401
        await verifiers.reload(both)
        assert (await bob.connect(new))["client"]
        assert [await status(app, one) for one in (old, new)] == [200, 200]
        await verifiers.reload(both)
        assert [one.close_code for one in (ada, bob, cleo)] == [None, None, None]
        since = time.monotonic()
        await verifiers.reload(second)
        # To come back with another token: 3005, then 109 for the old one.
        assert await ada.closed() == 3005
        assert time.monotonic() - since < SECONDS
        assert [await status(app, one) for one in (old, new)] == [401, 200]
        async with wire_client(app.websocket) as again:
            assert (await again.connect(old))["error"]["code"] == 109
            assert (await again.connect(token("ada", NEW, "k2")))["client"]
        # Whoever signs with something that never was a key here is told something else.
        async with wire_client(app.websocket) as forger:
            await forger.send(connect={"token": token("ada", NEW + "x", "k1")})
            assert await forger.closed() == 3500
        assert [one.close_code for one in (bob, cleo)] == [None, None]


async def test_a_refresh_moves_a_socket_to_the_new_key(configured) -> None:
    async with serve_app(configured(("k1", OLD), ("k2", NEW))) as app, wire_client(app.websocket) as ada:
        await ada.connect(token("ada", OLD, "k1"))
        assert "error" not in await ada.call(refresh={"token": token("ada", NEW, "k2")})
        await app.running.process.verifiers.reload(configured(("k2", NEW)))
        assert "error" not in await ada.rpc("user.get", user="ada")
        assert ada.close_code is None


async def test_keys_that_cannot_be_used_change_nothing(configured) -> None:
    async with serve_app(configured(("k1", OLD))) as app, wire_client(app.websocket) as ada:
        await ada.connect(token("ada", OLD, "k1"))
        with pytest.raises(ConfigError):
            await app.running.process.verifiers.reload(configured(token__rsa_public_key="nonsense"))
        assert await status(app, token("ada", OLD, "k1")) == 200
        assert ada.close_code is None


class KeyServer:
    """Serves a key set that changes."""

    def __init__(self) -> None:
        self.keys = {kid: ed25519.Ed25519PrivateKey.generate() for kid in ("k1", "k2")}
        self.served: tuple[str, ...] = ("k1",)
        self.failing = False

    async def answer(self, _: web.Request) -> web.Response:
        if self.failing:
            return web.Response(status=500)
        return web.Response(body=json.dumps({"keys": [self._row(kid) for kid in self.served]}))

    def _row(self, kid: str) -> Mapping[str, object]:
        return {**OKPAlgorithm.to_jwk(self.keys[kid].public_key(), as_dict=True), "kid": kid}

    def token(self, user: str, kid: str) -> str:
        return token(user, self.keys[kid], kid, "EdDSA")


async def test_a_key_set_rotates_likewise(configured) -> None:
    keys, application = KeyServer(), web.Application()
    application.router.add_get("/jwks", keys.answer)
    async with TestServer(application) as server, AsyncExitStack() as stack:
        config = configured(
            token__jwks_public_endpoint=str(server.make_url("/jwks")),
            token__jwks_allow_private_network=True,
            token__jwks_min_refresh_interval="1s",
        )
        app = await stack.enter_async_context(serve_app(config))
        ada, bob = [await stack.enter_async_context(wire_client(app.websocket)) for _ in range(2)]
        assert (await ada.connect(keys.token("ada", "k1")))["client"]
        keys.served = ("k1", "k2")

        async def is_known() -> bool:
            return await status(app, keys.token("bob", "k2")) == 200

        # A new kid is looked for at once, at most once a second.
        await eventually(is_known, within_s=SECONDS)
        assert (await bob.connect(keys.token("bob", "k2")))["client"]
        # A key server that fails, or has nothing all of a sudden, locks nobody out.
        for keys.failing, keys.served in ((True, ("k2",)), (False, ())):
            await app.running.process.verifiers.reload(config)
            assert [await status(app, keys.token("x", kid)) for kid in ("k1", "k2")] == [200, 200]
        assert (ada.close_code, bob.close_code) == (None, None)
        keys.served = ("k2",)
        await app.running.process.verifiers.reload(config)
        assert await ada.closed() == 3005
        assert [await status(app, keys.token("x", kid)) for kid in ("k1", "k2")] == [401, 200]
        async with wire_client(app.websocket) as again:
            assert (await again.connect(keys.token("ada", "k1")))["error"]["code"] == 109
        assert bob.close_code is None


async def test_a_user_has_no_more_connections_than_allowed_however_many_begin_at_once(configured) -> None:
    async with serve_app(configured(client__user_connection_limit=3)) as app, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(wire_client(app.websocket)) for _ in range(12)]
        for client in clients:
            await client.send(connect={"token": app.token("ada")})
        await asyncio.gather(*(client.until(lambda c=client: c.replies or c.close_code) for client in clients))
        assert sorted(client.close_code or 0 for client in clients) == [0] * 3 + [3504] * 9
        assert len(app.running.process.engine.hub.users["ada"]) == 3
        async with wire_client(app.websocket) as other:
            assert (await other.connect(app.token("bob")))["client"]
        stays = next(client for client in clients if client.close_code is None)
        await stays.socket.close()
        await eventually(lambda: len(app.running.process.engine.hub.users["ada"]) == 2)
        async with wire_client(app.websocket) as again:
            assert (await again.connect(app.token("ada")))["client"]


async def test_what_a_removed_key_let_in_is_closed_in_turns(configured) -> None:
    """More sessions than are closed in one turn of the event loop; the others are answered meanwhile."""
    async with serve_app(configured(("k1", OLD), ("k2", NEW))) as app, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(wire_client(app.websocket)) for _ in range(2 * AT_ONCE + 10)]
        for number, client in enumerate(clients):
            await client.connect(token(f"user{number}", OLD, "k1"))
        other = await stack.enter_async_context(wire_client(app.websocket))
        await other.connect(token("other", NEW, "k2"))
        await app.running.process.verifiers.reload(configured(("k2", NEW)))
        assert "error" not in await other.rpc("user.get", user="other")
        assert {await client.closed() for client in clients} == {3005}
        assert other.close_code is None
