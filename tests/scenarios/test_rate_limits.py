"""Rate limits as clients see them: at the limit everything passes, one more is told when to try again, and who goes on
far beyond is closed. A user's limit holds over sockets, REST and hubs together; addresses are those that trusted
proxies tell.
"""

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from dataclasses import fields
from uuid import uuid4

import aiohttp
import pytest

from chat.config import Config
from support.app import API_KEY, UNLIMITED, serve_app, test_config
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import wire_client

PUBLIC = "8.8.8.8"


@pytest.fixture
def serving(mongodb_url, database_name, redis_url, redis_prefix):
    """Serves a hub with these keys of `rate_limits`, or others by dotted key; loopback is a trusted proxy."""

    @asynccontextmanager
    async def serve(redis=redis_url, **keys):
        rates = {name if "__" in name else f"rate_limits__{name}": value for name, value in keys.items()}
        more = {"server__trusted_proxies": ["127.0.0.0/8"], **rates}
        async with serve_app(test_config(mongodb_url, database_name, redis, redis_prefix, **more)) as app:
            yield app

    return serve


@asynccontextmanager
async def connected(app, user):
    async with wire_client(app.websocket) as client:
        assert "error" not in await client.connect(app.token(user))
        yield client


def wait_ms(reply) -> int:
    assert reply["error"]["code"] == 111
    assert reply["error"]["temporary"] is True
    return int(re.search(r"; retry_after_ms=(\d+)$", reply["error"]["message"])[1])


def limited(app, limit: str) -> int:
    return app.running.process.stats.rate_limited[limit]


async def test_a_connection_may_send_so_many_commands_and_one_more_is_told_when(serving):
    async with serving(connection_commands=2, connection_commands_burst=5) as app, connected(app, "alice") as alice:
        # The connect was one.
        replies = [await alice.rpc("user.get", user="alice") for _ in range(4)]
        assert all("error" not in reply for reply in replies)
        refused = await alice.rpc("user.get", user="alice")
        assert refused["error"]["message"].startswith(
            "too_many_requests: 2 commands a second of one connection, 5 at once; retry_after_ms="
        )
        assert 0 < wait_ms(refused) <= 500
        await asyncio.sleep(wait_ms(refused) / 1000)
        assert "error" not in await alice.rpc("user.get", user="alice")
        async with connected(app, "alice") as another:
            assert "error" not in await another.rpc("user.get", user="alice")
        assert limited(app, "connection_commands") == 1
        async with aiohttp.ClientSession() as session, session.get(app.http + "/metrics") as answer:
            assert 'hubbub_rate_limited_total{limit="connection_commands"} 1.0' in await answer.text()


async def test_unsubscribing_succeeds_and_sends_are_ignored_however_many_there_were(serving):
    async with serving(connection_commands=1, connection_commands_burst=2) as app, connected(app, "alice") as alice:
        assert "error" not in await alice.rpc("user.get", user="alice")
        assert await alice.call(unsubscribe={"channel": "news:1"}) == {}
        await alice.socket.send_str('{"send":{"data":{}}}')
        wait_ms(await alice.rpc("user.get", user="alice"))
        assert alice.close_code is None


async def test_who_goes_on_far_beyond_is_closed_and_may_come_again(serving):
    rates = {"connection_commands": 1, "connection_commands_burst": 1, "connection_refusals": 20}
    async with serving(**rates, connection_refusals_window="1h") as app, connected(app, "alice") as alice:
        for _ in range(20):
            wait_ms(await alice.rpc("user.get", user="alice"))
        await alice.send(rpc={"method": "user.get", "data": {}})
        assert await alice.closed() == 3013
        assert limited(app, "connection_refusals") == 1
        async with connected(app, "alice"):
            pass


async def test_who_keeps_sending_what_is_refused_for_its_content_is_closed_for_good(serving):
    bad = [
        {"rpc": {"method": "no.such", "data": {}}},
        {"rpc": {"method": "user.get", "data": {"user": 1}}},
        {"rpc": {"method": "conversation.get", "data": {"conversation": "a" * 26}}},
        {"publish": {"channel": "no_such_namespace:1", "data": {}}},
        {"history": {"channel": 5}},
    ]
    async with (
        serving(connection_errors=len(bad) * 2, connection_errors_window="1h") as app,
        connected(app, "alice") as alice,
    ):
        for command in bad * 2:
            assert "error" in await alice.call(**command)
        assert "error" not in await alice.rpc("user.get", user="alice")
        await alice.send(**bad[0])
        assert await alice.closed() == 3509
        assert limited(app, "connection_errors") == 1


async def test_subscribing_to_what_is_gone_is_no_reason_to_close(serving):
    async with serving(connection_errors=3, connection_errors_window="1h") as app, connected(app, "alice") as alice:
        for number in range(10):
            reply = await alice.call(subscribe={"channel": f"conv:{number:026d}"})
            assert reply["error"]["code"] in (103, 107)
        assert alice.close_code is None


async def test_messages_of_a_user_count_over_sockets_and_rest_and_others_are_not_concerned(serving):
    async with (
        serving(user_sends=1, user_sends_burst=4) as app,
        connected(app, "alice") as phone,
        connected(app, "alice") as laptop,
        connected(app, "bob") as bob,
    ):
        conversation = await group(phone, "bob")
        path = f"/v1/conversations/{conversation}/messages"
        assert "error" not in await say(phone, conversation, "1")
        assert "error" not in await say(laptop, conversation, "2")
        assert "error" not in await laptop.call(
            publish={"channel": f"conv:{conversation}", "data": {"idempotency_key": "k", "text": "3"}}
        )
        async with app.rest("alice") as rest:
            passed = await rest.post(path, json={"text": "4", "idempotency_key": "r1"})
            assert passed.status == 201
            assert passed.headers["RateLimit-Policy"] == '"sends";q=4;w=4'
            assert passed.headers["RateLimit"] == '"sends";r=0;t=4'
            refused = await rest.post(path, json={"text": "5", "idempotency_key": "r2"})
            assert refused.status == 429
            problem = await refused.json()
            assert problem["code"] == "too_many_requests"
            assert problem["detail"].startswith("1 messages a second of one user, 4 at once; retry_after_ms=")
            assert 0 < problem["retry_after_ms"] <= 1000
            assert refused.headers["Retry-After"] == "1"
            assert refused.headers["RateLimit"].startswith('"sends";r=0;t=')
        wait_ms(await say(phone, conversation, "6"))
        assert "error" not in await say(bob, conversation, "7")
        # Reading goes on, and the server API is not limited at all.
        assert "error" not in await phone.rpc("history.page", conversation=conversation)
        async with app.api() as api:
            for number in range(10):
                data = {"sender": "alice", "idempotency_key": f"a{number}", "text": "x"}
                body = {"channel": f"conv:{conversation}", "data": data}
                assert "error" not in await (await api.post("/api/publish", json=body)).json()


async def test_a_users_commands_are_told_by_every_rest_answer(serving):
    async with serving(user_commands=1, user_commands_burst=3) as app, app.rest("alice") as rest:
        assert "RateLimit" not in (await rest.get("/v1")).headers
        left = []
        for path, status in (("/v1/me", 200), ("/v1/users/nobody", 404), ("/v1/conversations?limit=-1", 400)):
            async with rest.get(path) as answer:
                assert answer.status == status
                assert answer.headers["RateLimit-Policy"] == '"commands";q=3;w=3'
                left.append(answer.headers["RateLimit"])
        assert left == ['"commands";r=2;t=1', '"commands";r=1;t=2', '"commands";r=0;t=3']
        async with rest.get("/v1/me") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert answer.headers["RateLimit"] == '"commands";r=0;t=3'
        await asyncio.sleep(1)
        assert (await rest.get("/v1/me")).status == 200


async def test_two_hubs_share_what_a_user_may_send(serving):
    rates = {"user_sends": 1, "user_sends_burst": 20}
    async with (
        serving(**rates) as one,
        serving(**rates) as two,
        connected(one, "alice") as here,
        connected(two, "alice") as there,
    ):
        conversation = await group(here, "bob")
        await there.rpc("conversation.get", conversation=conversation)
        for number in range(20):
            assert "error" not in await say(here, conversation, str(number))

        async def refused_there() -> bool:
            # Each attempt that passes is one that the other hub is told of.
            return "error" in await say(there, conversation, "x")

        started = asyncio.get_running_loop().time()
        while not await refused_there():
            await asyncio.sleep(0.1)
        took_s = asyncio.get_running_loop().time() - started
        passed = 0
        for _ in range(10):
            passed += "error" not in await say(there, conversation, "y")
        assert passed <= 1
        # A second, and what a busy machine needs.
        assert took_s < 4
        attempts = [await say(here, conversation, "z") for _ in range(10)]
        wait_ms(attempts[-1])


async def test_without_redis_each_hub_counts_by_itself(serving):
    rates = {"user_sends": 1, "user_sends_burst": 2, "redis": "redis://127.0.0.1:1/0"}
    async with serving(**rates) as app, app.rest("alice") as rest:
        made = await (await rest.post("/v1/conversations", json={"kind": "group", "members": ["bob"]})).json()
        path = f"/v1/conversations/{made['conversation']['id']}/messages"
        statuses = [(await rest.post(path, json={"text": "x", "idempotency_key": f"k{n}"})).status for n in range(3)]
        assert statuses == [201, 201, 429]


async def test_so_many_sign_ins_of_an_address_may_fail_wherever_and_good_ones_pass(serving):
    async with serving(address_failed_sign_ins=1, address_failed_sign_ins_burst=3) as app:
        far = {"X-Forwarded-For": f"1.1.1.1, {PUBLIC}"}
        async with aiohttp.ClientSession(app.http, headers=far) as http:
            bad = {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.bad"}
            good = {"Authorization": f"Bearer {app.token('alice')}"}
            assert (await http.get("/v1/me", headers=bad)).status == 401
            assert (await http.post("/api/info", headers={"X-API-Key": "guess"}, json={})).status == 401
            async with wire_client(app.websocket, headers=far) as client:
                await client.send(connect={"token": "guess"})
                assert await client.closed() == 3500
            refused = await http.get("/v1/me", headers=bad)
            assert refused.status == 429
            assert 0 < int(refused.headers["Retry-After"]) <= 60
            assert refused.headers["RateLimit"].startswith('"failed-sign-ins";r=0;t=')
            assert (await http.post("/api/info", headers={"X-API-Key": "guess"}, json={})).status == 429
            async with http.post("/admin/api/login", json={"token": "guess"}) as answer:
                assert answer.status == 429
            # Whoever has what it takes is let in, neighbours of somebody who guesses as well.
            assert (await http.get("/v1/me", headers=good)).status == 200
            assert (await http.post("/api/info", headers={"X-API-Key": API_KEY}, json={})).status == 200
            # So is counted who sent it, not what else stands in the header; another address begins anew.
            forged = {**bad, "X-Forwarded-For": f"{uuid4()}, 2.2.2.2, {PUBLIC}"}
            assert (await http.get("/v1/me", headers=forged)).status == 429
            assert (await http.get("/v1/me", headers={**bad, "X-Forwarded-For": "9.9.9.9"})).status == 401
            # No token is no attempt, and neither is one that was good until a moment ago.
            for headers in ({}, {"Authorization": f"Bearer {app.token('alice', ttl_s=-600)}"}):
                statuses = {(await http.get("/v1/me", headers=headers)).status for _ in range(5)}
                assert statuses == {401}


async def test_an_address_may_open_so_many_sockets_at_once_and_one_more_is_refused_before_the_upgrade(serving):
    async with serving(address_upgrades=1, address_upgrades_burst=3) as app:
        far = {"X-Forwarded-For": PUBLIC}
        for _ in range(3):
            async with wire_client(app.websocket, headers=far) as client:
                await client.connect(app.token("alice"))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with wire_client(app.websocket, headers=far):
                pass
        assert refused.value.status == 429
        assert refused.value.headers["Retry-After"] == "1"
        assert limited(app, "address_upgrades") == 1
        async with wire_client(app.websocket, headers={"X-Forwarded-For": "9.9.9.9"}) as client:
            assert "error" not in await client.connect(app.token("alice"))
        # Private addresses are somebody's proxy that nobody told us of, as a rule.
        for _ in range(6):
            async with wire_client(app.websocket) as client:
                assert "error" not in await client.connect(app.token("alice"))


async def test_connections_are_known_by_the_address_that_a_trusted_proxy_tells(serving):
    async with serving() as app, wire_client(app.websocket, headers={"X-Forwarded-For": PUBLIC}) as client:
        await client.connect(app.token("alice"))
        (session,) = app.running.process.engine.endpoint.open
        assert session.peer.address == PUBLIC
    async with (
        serving(server__trusted_proxies=["10.0.0.0/8"]) as app,
        wire_client(app.websocket, headers={"X-Forwarded-For": PUBLIC}) as client,
    ):
        await client.connect(app.token("alice"))
        (session,) = app.running.process.engine.endpoint.open
        assert session.peer.address == "127.0.0.1"


async def test_a_thousand_guesses_are_refused_after_the_first(serving):
    async with serving(address_failed_sign_ins=10, address_failed_sign_ins_burst=30) as app:
        async with aiohttp.ClientSession(app.http, headers={"X-Forwarded-For": PUBLIC}) as http:

            async def guess(number: int) -> int:
                async with http.get("/v1/me", headers={"Authorization": f"Bearer a.b.{number}"}) as answer:
                    return answer.status

            statuses = []
            for start in range(0, 1000, 50):
                statuses += await asyncio.gather(*map(guess, range(start, start + 50)))
            assert statuses.count(401) < 60
            assert set(statuses) == {401, 429}
        await eventually(lambda: app.running.process.stats.rate_limited["address_failed_sign_ins"] >= 940)


async def over_another_connection(app, alice, conversation) -> bool:
    async with connected(app, "alice") as another:
        return "error" in await say(another, conversation, "x")


async def with_another_token(app, alice, conversation) -> bool:
    async with wire_client(app.websocket) as another:
        await another.connect(app.token("alice", ttl_s=60, info={"name": "Somebody"}))
        return "error" in await say(another, conversation, "x")


async def by_rest_from_another_address(app, alice, conversation) -> bool:
    async with app.rest("alice") as rest:
        path, body = f"/v1/conversations/{conversation}/messages", {"text": "x", "idempotency_key": str(uuid4())}
        headers = {"X-Forwarded-For": str(uuid4())}
        return (await rest.post(path, json=body, headers=headers)).status == 429


async def by_the_rpc_of_rest(app, alice, conversation) -> bool:
    async with app.rest("alice") as rest:
        body = {"conversation": conversation, "text": "x", "idempotency_key": str(uuid4())}
        return (await rest.post("/v1/rpc/message.send", json=body)).status == 429


async def as_a_publication(app, alice, conversation) -> bool:
    data = {"text": "x", "idempotency_key": str(uuid4())}
    return "error" in await alice.call(publish={"channel": f"conv:{conversation}", "data": data})


async def all_in_one_frame(app, alice, conversation) -> bool:
    fields = {"conversation": conversation, "text": "x"}
    commands = [
        {"id": number, "rpc": {"method": "message.send", "data": {**fields, "idempotency_key": str(uuid4())}}}
        for number in range(9000, 9050)
    ]
    await alice.socket.send_str("\n".join(map(json.dumps, commands)))
    await alice.until(lambda: 9049 in alice.replies)
    return sum("error" not in alice.replies[number] for number in range(9000, 9050)) <= 2


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(over_another_connection, id="A20-another-connection"),
        pytest.param(with_another_token, id="A20-another-token"),
        pytest.param(by_rest_from_another_address, id="A20-rest-and-another-address"),
        pytest.param(by_the_rpc_of_rest, id="A20-rpc-of-rest"),
        pytest.param(as_a_publication, id="A20-a-publication"),
        pytest.param(all_in_one_frame, id="A20-one-frame"),
    ],
)
async def test_there_is_no_way_around_what_a_user_may_send(serving, attempt):
    async with serving(user_sends=1, user_sends_burst=200) as app, connected(app, "alice") as alice:
        conversation = await group(alice, "bob")
        # As if she had sent so much elsewhere: nothing comes back while this runs.
        app.running.process.limits.users.sends.spender("alice").raise_to(300.0, time.monotonic())
        assert await attempt(app, alice, conversation)


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param([f"2a00:1:2:3::{number:x}" for number in range(8)], id="A20-ipv6-of-one-network"),
        pytest.param(
            [f"{number}.{number}.{number}.{number}, {PUBLIC}" for number in range(1, 9)], id="A20-forged-hops"
        ),
        pytest.param([f"::ffff:{PUBLIC}", PUBLIC, f"{PUBLIC}:1", f"[::ffff:{PUBLIC}]:2"] * 2, id="A20-spellings"),
    ],
)
async def test_there_is_no_way_around_what_an_address_may_fail(serving, addresses):
    async with (
        serving(address_failed_sign_ins=1, address_failed_sign_ins_burst=3) as app,
        aiohttp.ClientSession(app.http, headers={"Authorization": "Bearer a.b.c"}) as http,
    ):
        statuses = [(await http.get("/v1/me", headers={"X-Forwarded-For": each})).status for each in addresses]
        assert statuses == [401] * 3 + [429] * 5


def frame_of(commands) -> str:
    return "\n".join(json.dumps({"id": number, **command}) for number, command in commands)


async def test_by_default_a_busy_client_is_not_concerned_and_a_flood_is_closed(serving):
    rates = Config().rate_limits
    # Those that tests switch off.
    names = [field.name for field in fields(rates) if f"rate_limits.{field.name}" in UNLIMITED]
    defaults = {name: getattr(rates, name) for name in names}
    async with serving(**defaults) as app:
        async with connected(app, "alice") as alice:
            conversation = await group(alice, "bob")
            # All channels at once, as after a reconnect, and a hundred messages one after another.
            channels = range(10_000, 10_800)
            await alice.socket.send_str(frame_of((n, {"subscribe": {"channel": f"news:{n}"}}) for n in channels))
            await alice.until(lambda: all(n in alice.replies for n in channels))
            assert not any(limited(app, limit) for limit in app.running.process.stats.rate_limited)
            for number in range(100):
                assert "error" not in await say(alice, conversation, str(number))
        async with connected(app, "mallory") as mallory:
            await mallory.socket.send_str(frame_of((n, {"ping": {}}) for n in range(10, 4000)))
            assert await mallory.closed() == 3013
            answered = [reply for number, reply in mallory.replies.items() if number >= 10]
            assert sum("error" not in reply for reply in answered) < 1200
