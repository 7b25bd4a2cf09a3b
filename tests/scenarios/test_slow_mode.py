"""Slow mode: one message of a member at a time, on all hubs together, and repeats are answered all the same."""

import asyncio
from uuid import uuid4

import pytest

from chat.vocabulary.conversations import MAX_SLOW_MODE_S
from support.app import serve_app, test_config
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import wire_client


async def slow_group(client, interval_s: int, *members: str) -> str:
    conversation = await group(client, *members)
    await client.rpc("conversation.update", conversation=conversation, settings={"slow_mode_s": interval_s})
    return conversation


def send(client, conversation: str, key: str):
    return client.rpc("message.send", conversation=conversation, idempotency_key=key, text="x")


@pytest.fixture
async def alice(app):
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


@pytest.fixture
async def bob(app):
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("bob"))
        yield client


async def test_a_member_waits_between_two_messages_and_moderators_do_not(app, alice, bob):
    conversation = await slow_group(alice, 60, "bob", "carol")
    assert "error" not in await say(bob, conversation, "1")
    refused = await say(bob, conversation, "2")
    assert refused["error"]["code"] == 111
    assert refused["error"]["temporary"] is True
    assert "slow mode: one message in 60 s, wait " in refused["error"]["message"]
    for _ in range(3):
        assert "error" not in await say(alice, conversation, "as I like")
    async with app.rest("carol") as carol, app.rest("bob") as bob_rest:
        path = f"/v1/conversations/{conversation}/messages"
        assert (await carol.post(path, json={"text": "x", "idempotency_key": "c"})).status == 201
        answer = await bob_rest.post(path, json={"text": "x", "idempotency_key": "b"})
        assert answer.status == 429
        problem = await answer.json()
        assert 50_000 < problem["retry_after_ms"] <= 60_000
        assert 50 < int(answer.headers["Retry-After"]) <= 60


async def test_the_wait_ends_when_it_says(bob, alice):
    conversation = await slow_group(alice, 1, "bob")
    assert "error" not in await say(bob, conversation, "1")
    refused = await say(bob, conversation, "2")
    wait_ms = int(refused["error"]["message"].rpartition("wait ")[2].removesuffix(" ms"))
    assert 0 < wait_ms <= 1000
    await asyncio.sleep(wait_ms / 1000)
    assert "error" not in await say(bob, conversation, "3")


async def test_a_repeat_gets_its_answer_whenever_it_comes(alice, bob):
    conversation = await slow_group(alice, 1, "bob")
    first = await send(bob, conversation, "k1")
    again = await send(bob, conversation, "k1")
    assert (again["duplicate"], again["message"]["offset"]) == (True, first["message"]["offset"])

    async def let_through() -> bool:
        return "error" not in await send(bob, conversation, "k2")

    await eventually(let_through)
    late = await send(bob, conversation, "k1")
    assert (late["duplicate"], late["message"]["offset"]) == (True, first["message"]["offset"])
    assert (await send(bob, conversation, "k3"))["error"]["code"] == 111


async def test_hubs_count_together_and_a_repeat_may_come_by_another(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(one.websocket) as phone:
        await alice.connect(one.token("alice"))
        await phone.connect(one.token("bob"))
        async with wire_client(two.websocket) as laptop:
            await laptop.connect(two.token("bob"))
            conversation = await slow_group(alice, 60, "bob")
            await laptop.rpc("conversation.get", conversation=conversation)
            key = str(uuid4())
            assert "error" not in await send(phone, conversation, key)
            assert (await send(laptop, conversation, str(uuid4())))["error"]["code"] == 111
            assert (await send(laptop, conversation, key))["duplicate"] is True
            assert (await send(phone, conversation, str(uuid4())))["error"]["code"] == 111


async def test_of_many_at_once_on_two_hubs_one_goes_through(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice:
        await alice.connect(one.token("alice"))
        conversation = await slow_group(alice, 60, "bob")

        async def attempt(number: int) -> int:
            async with (one, two)[number % 2].rest("bob") as rest:
                path = f"/v1/conversations/{conversation}/messages"
                return (await rest.post(path, json={"text": "x", "idempotency_key": f"k{number}"})).status

        statuses = await asyncio.gather(*(attempt(number) for number in range(12)))
        assert sorted(statuses) == [201, *[429] * 11]


async def test_without_redis_each_hub_counts_by_itself(mongodb_url, database_name, redis_prefix):
    config = test_config(mongodb_url, database_name, "redis://127.0.0.1:1/0", redis_prefix)
    async with serve_app(config) as app, app.rest("alice") as alice, app.rest("bob") as bob:
        made = await (
            await alice.post(
                "/v1/conversations", json={"kind": "group", "members": ["bob"], "settings": {"slow_mode_s": 60}}
            )
        ).json()
        path = f"/v1/conversations/{made['conversation']['id']}/messages"
        statuses = [(await bob.post(path, json={"text": "x", "idempotency_key": f"k{n}"})).status for n in range(3)]
        assert statuses == [201, 429, 429]


async def test_another_interval_begins_anew_and_none_ends_it(alice, bob):
    conversation = await slow_group(alice, MAX_SLOW_MODE_S, "bob")
    assert "error" not in await say(bob, conversation, "1")
    assert (await say(bob, conversation, "2"))["error"]["code"] == 111
    await alice.rpc("conversation.update", conversation=conversation, settings={"slow_mode_s": 0})
    assert "error" not in await say(bob, conversation, "3")
    assert "error" not in await say(bob, conversation, "4")
