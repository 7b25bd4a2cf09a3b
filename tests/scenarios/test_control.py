"""What is decided against users and tokens reaches live sockets on every process: at once with Redis up, within the
re-check interval while it is frozen. Each case measures the time from the decision to the last thing that was still
possible.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import jwt
import pytest

from chat.auth.mint import subscription_token
from chat.config import Secret
from storage.local.redis_server import redis_server
from support.app import SECRET, App, serve_app, test_config
from support.servers import frozen, short_directory
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

INTERVAL_S = 1.0
AT_ONCE_S = 1.0
"""With Redis up, on two busy cores."""
RECHECKED_S = INTERVAL_S + 2.0
"""With Redis frozen: the interval, the time of the query, and a machine that others use."""


@pytest.fixture(params=["Redis up", "Redis frozen"])
async def hubs(request, mongodb_url, database_name, redis_prefix) -> AsyncIterator["Hubs"]:
    with short_directory() as directory:
        async with redis_server(directory, ephemeral=True) as redis:
            config = test_config(
                mongodb_url, database_name, redis.url, redis_prefix, client__access_check_interval=f"{INTERVAL_S}s"
            )
            async with serve_app(config) as one, serve_app(config) as two:
                yield Hubs(one, two, redis.pid if request.param == "Redis frozen" else None)


class Hubs:
    """Two hubs; what is decided is decided on `one`, whoever it is about is connected to `two`."""

    def __init__(self, one: App, two: App, redis: int | None) -> None:
        self.one, self.two, self._redis = one, two, redis
        self.bound_s = AT_ONCE_S if redis is None else RECHECKED_S

    @asynccontextmanager
    async def trouble(self) -> AsyncIterator[None]:
        """Redis is frozen inside, and both hubs know it: if this is what is tested."""
        if self._redis is None:
            yield
            return
        with frozen(self._redis):
            await eventually(lambda: not self.one.running.process.redis.bus.alive)
            await eventually(lambda: not self.two.running.process.redis.bus.alive)
            yield

    async def decide(self, method: str, **parameters: Any) -> float:
        """By the server API of the first hub. Returns when it was answered."""
        async with self.one.api() as api, api.post(f"/api/{method}", json=parameters) as response:
            answer = await response.json()
        assert "result" in answer, answer
        return time.monotonic()

    async def ends(self, client: WireClient, since: float) -> int | None:
        """Waits for the end of a connection, which must come within the bound."""
        code = await client.closed()
        assert time.monotonic() - since < self.bound_s, time.monotonic() - since
        return code


async def rest_status(app: App, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with app.rest("nobody") as session, session.get("/v1/me", headers=headers) as response:
        return response.status


async def test_a_blocked_user_is_out_on_every_process_and_stays_out(hubs: Hubs) -> None:
    async with wire_client(hubs.two.websocket) as phone, wire_client(hubs.one.websocket) as laptop:
        token = hubs.two.token("ada")
        for client in (phone, laptop):
            assert (await client.connect(token))["client"]
        assert await rest_status(hubs.two, token) == 200
        async with hubs.trouble():
            since = await hubs.decide("block_user", user="ada")
            assert await hubs.ends(phone, since) == 3503
            assert await hubs.ends(laptop, since) == 3503
            for app in (hubs.one, hubs.two):
                for again in (token, app.token("ada", jti="another")):
                    assert await rest_status(app, again) == 403
                    async with wire_client(app.websocket) as client:
                        await client.send(connect={"token": again})
                        assert await client.closed() == 3503
            await hubs.decide("unblock_user", user="ada")
            assert await rest_status(hubs.two, token) == 200
            async with wire_client(hubs.two.websocket) as client:
                assert (await client.connect(token))["client"]


async def test_a_block_ends_by_itself(hubs: Hubs) -> None:
    async with hubs.trouble():
        await hubs.decide("block_user", user="ada", expire_at=int(time.time()) + 2)
        assert await rest_status(hubs.two, hubs.two.token("ada")) == 403

        async def again() -> bool:
            return await rest_status(hubs.two, hubs.two.token("ada")) == 200

        await eventually(again)


@pytest.mark.parametrize("by", ["jti", "hash"])
async def test_a_revoked_token_ends_what_it_let_in_and_lets_nothing_in(hubs: Hubs, by: str) -> None:
    token, other = hubs.two.token("ada", jti="j1"), hubs.two.token("ada", jti="j2")
    async with wire_client(hubs.two.websocket) as client, wire_client(hubs.two.websocket) as untouched:
        await client.connect(token)
        await untouched.connect(other)
        assert await rest_status(hubs.two, token) == 200
        async with hubs.trouble():
            uid = "j1" if by == "jti" else hashlib.sha256(token.encode()).hexdigest()
            since = await hubs.decide("revoke_token", uid=uid, expire_at=int(time.time()) + 600)
            assert await hubs.ends(client, since) == 3005
            for app in (hubs.one, hubs.two):
                assert await rest_status(app, token) == 401
                assert await rest_status(app, other) == 200
                async with wire_client(app.websocket) as again:
                    # Fetch another one, says 109; and with that one it goes on.
                    assert (await again.connect(token))["error"]["code"] == 109
                    assert (await again.connect(app.token("ada")))["client"]
            assert untouched.close_code is None


async def test_invalidating_tokens_ends_those_that_are_older(hubs: Hubs) -> None:
    now = int(time.time())
    old, silent, new = (
        hubs.two.token("ada", iat=now - 100),
        signed(sub="ada", exp=now + 600),
        hubs.two.token("ada", iat=now),
    )
    async with AsyncExitStack() as stack:
        clients = []
        for token in (old, silent, new):
            client = await stack.enter_async_context(wire_client(hubs.two.websocket))
            assert (await client.connect(token))["client"]
            clients.append(client)
        async with hubs.trouble():
            since = await hubs.decide("invalidate_user_tokens", user="ada", issued_before=now)
            assert await hubs.ends(clients[0], since) == 3005
            assert await hubs.ends(clients[1], since) == 3005
            assert [await rest_status(hubs.two, token) for token in (old, silent, new)] == [401, 401, 200]
            assert clients[2].close_code is None
            # A second, milder word takes nothing back.
            await hubs.decide("invalidate_user_tokens", user="ada", issued_before=now - 1000)
            assert await rest_status(hubs.one, old) == 401


async def test_invalidating_tokens_for_a_channel_ends_the_subscription_only(hubs: Hubs) -> None:
    now = int(time.time())
    token = subscription_token("ada", "news:a", Secret(SECRET), now_s=now - 100, ttl_s=600)
    async with wire_client(hubs.two.websocket) as client:
        await client.connect(hubs.two.token("ada"))
        assert "error" not in await client.call(subscribe={"channel": "news:a", "token": token})
        async with hubs.trouble():
            since = await hubs.decide("invalidate_user_tokens", user="ada", issued_before=now, channel="news:a")
            await client.until(lambda: any("unsubscribe" in push for push in client.pushes))
            assert time.monotonic() - since < hubs.bound_s
            assert client.close_code is None
            refused = await client.call(subscribe={"channel": "news:a", "token": token})
            assert refused["error"]["code"] == 109


async def test_a_refresh_with_a_revoked_token_ends_the_connection(hubs: Hubs) -> None:
    await hubs.decide("revoke_token", uid="gone")
    async with wire_client(hubs.two.websocket) as client:
        await client.connect(hubs.two.token("ada", ttl_s=30))
        await client.send(refresh={"token": hubs.two.token("ada", jti="gone")})
        assert await client.closed() == 3005


async def test_after_a_refresh_it_is_the_new_token_that_counts(hubs: Hubs) -> None:
    async with wire_client(hubs.two.websocket) as client:
        await client.connect(hubs.two.token("ada", ttl_s=300, jti="first"))
        assert "error" not in await client.call(refresh={"token": hubs.two.token("ada", jti="second")})
        async with hubs.trouble():
            await hubs.decide("revoke_token", uid="first")
            await hubs.two.running.process.restricting.catch_up()
            assert (await client.rpc("user.get", user="ada"))["user"]["id"] == "ada"
            since = await hubs.decide("revoke_token", uid="second")
            assert await hubs.ends(client, since) == 3005


async def test_a_refresh_with_a_token_of_another_user_ends_for_good(hubs: Hubs) -> None:
    async with wire_client(hubs.two.websocket) as client:
        await client.connect(hubs.two.token("ada", ttl_s=30))
        await client.send(refresh={"token": hubs.two.token("bob")})
        assert await client.closed() == 3500


async def test_what_was_decided_while_a_process_starts_or_was_away_holds(hubs: Hubs, request) -> None:
    """Rows are the truth: a process that was never told asks for itself."""
    await hubs.decide("block_user", user="ada")
    await hubs.decide("revoke_token", uid="j1")
    config = hubs.one.running.process.config
    async with serve_app(config) as third:
        assert await rest_status(third, third.token("ada")) == 403
        assert await rest_status(third, third.token("bob", jti="j1")) == 401


async def test_a_block_while_somebody_connects_is_not_missed(hubs: Hubs) -> None:
    """Wherever the connect stands: the connection ends, or is never there."""
    for number in range(8):
        user = f"user{number}"
        async with wire_client(hubs.two.websocket) as client:
            await client.send(connect={"token": hubs.two.token(user)})
            await asyncio.sleep(0.002 * number)  # not to wait for anything: to come at different moments
            await hubs.decide("block_user", user=user)
            assert await client.closed() == 3503


async def test_a_warm_token_costs_no_query(hubs: Hubs) -> None:
    token = hubs.two.token("ada")
    assert await rest_status(hubs.two, token) == 200
    asked: list[tuple[str, ...]] = []
    rows = hubs.two.running.process.store.restrictions
    of = rows.of

    async def counted(*keys: str) -> Any:
        asked.append(keys)
        return await of(*keys)

    rows.of = counted  # type: ignore[method-assign]  # the real one, watched
    for _ in range(5):
        assert await rest_status(hubs.two, token) == 200
    await hubs.decide("block_user", user="bob")
    await hubs.two.running.process.restricting.catch_up()
    assert await rest_status(hubs.two, token) == 200
    assert asked == []
    await hubs.decide("invalidate_user_tokens", user="ada", issued_before=1000)
    await hubs.two.running.process.restricting.catch_up()
    for _ in range(3):
        assert await rest_status(hubs.two, token) == 200
    assert len(asked) == 1


def signed(**claims: Any) -> str:

    return jwt.encode(claims, SECRET, "HS256")


async def test_an_expired_token_ends_the_socket_and_nothing_comes_after(
    mongodb_url, database_name, redis_url, redis_prefix
):
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, client__expired_close_delay="1s")
    async with (
        serve_app(config) as app,
        wire_client(app.websocket) as ada,
        wire_client(app.websocket) as bob,
        wire_client(app.websocket) as cleo,
    ):
        expires_at = int(time.time()) + 2
        for client, user in ((ada, "ada"), (bob, "bob"), (cleo, "cleo")):
            connected = await client.connect(app.token(user, exp=expires_at if user != "cleo" else expires_at + 600))
            assert connected["client"]
        group_of_all = await group(cleo, "ada", "bob")
        # Who refreshes in time goes on, with a token of its own only.
        assert "error" not in await bob.call(refresh={"token": app.token("bob")})
        assert await ada.closed() == 3005
        assert time.time() < expires_at + 1 + 2
        await say(cleo, group_of_all, "after")
        await bob.until(lambda: "after" in created(bob, group_of_all))
        assert "after" not in created(ada, group_of_all)
