"""Conversations come to be once, between the people they were meant for."""

import asyncio

import pytest

from support.app import serve_app, test_config
from support.talking import group
from support.wire_client import WireClient, wire_client


@pytest.fixture
async def alice(app):
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


@pytest.fixture
async def mallory(app):
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("mallory"))
        yield client


async def create(client: WireClient, kind: str, *members: str, **fields: object):
    return await client.rpc("conversation.create", kind=kind, members=list(members), **fields)


@pytest.mark.parametrize("members", [["bob"], ["bob", "bob"], ["alice", "bob"], ["bob", "alice", "bob"]])
async def test_the_other_of_a_direct_conversation_is_whoever_is_not_oneself(alice, members):
    made = await create(alice, "direct", *members)
    assert made["conversation"]["peer"]["id"] == "bob"
    assert made["conversation"]["members_count"] == 2


@pytest.mark.parametrize("members", [[], ["alice"], ["alice", "alice"], ["bob", "carol"], [""], ["b b"]])
async def test_a_direct_conversation_is_of_two(alice, members):
    refused = await create(alice, "direct", *members)
    assert refused["error"]["code"] == 107
    assert refused["error"]["message"].startswith("bad_request: $.members")


async def test_the_creator_owns_a_group_and_counts_once(alice):
    made = await create(alice, "group", "alice", "bob", "bob")
    assert (made["conversation"]["role"], made["conversation"]["members_count"]) == ("owner", 2)


async def test_a_group_may_be_of_one_and_begins_with_at_most_a_thousand(alice):
    alone = await create(alice, "group")
    assert alone["conversation"]["members_count"] == 1
    others = [f"user{number}" for number in range(1000)]
    refused = await create(alice, "group", *others)
    assert refused["error"]["message"].startswith("bad_request: $.members: ")
    made = await create(alice, "group", *others[:999], "alice")
    assert made["conversation"]["members_count"] == 1000


async def test_the_same_key_gives_the_same_conversation_to_its_creator_only(alice, mallory):
    answers = await asyncio.gather(*(create(alice, "group", "bob", idempotency_key="k") for _ in range(5)))
    assert len({answer["conversation"]["id"] for answer in answers}) == 1
    assert sum(not answer["duplicate"] for answer in answers) == 1
    other = await create(mallory, "group", "bob", idempotency_key="k")
    assert other["duplicate"] is False
    assert other["conversation"]["id"] != answers[0]["conversation"]["id"]


async def test_the_external_id_of_others_tells_nothing_but_that_it_is_taken(alice, mallory):
    made = await create(alice, "group", external_id="order-1", title="Secret")
    for kind, members in (("group", []), ("channel", []), ("direct", ["bob"])):
        refused = await create(mallory, kind, *members, external_id="order-1")
        assert refused["error"]["code"] == 113
        assert made["conversation"]["id"] not in refused["error"]["message"]
        assert refused["error"]["message"] == "conflict: $.external_id: stands for another conversation"
    again = await create(alice, "group", external_id="order-1", title="Other")
    assert again["duplicate"] is True
    assert again["conversation"]["title"] == "Secret"


async def test_what_is_meant_for_one_never_goes_to_another(alice):
    bob = await create(alice, "direct", "bob", external_id="x", idempotency_key="k")
    for field, value in (("external_id", "x"), ("idempotency_key", "k")):
        refused = await create(alice, "direct", "carol", **{field: value})
        assert refused["error"]["code"] == 113, field
    again = await create(alice, "direct", "bob", external_id="x", idempotency_key="k")
    assert again["conversation"]["id"] == bob["conversation"]["id"]


async def test_the_key_of_a_conversation_one_has_left_is_spent(alice):
    conversation = (await create(alice, "group", idempotency_key="k"))["conversation"]["id"]
    await alice.rpc("conversation.leave", conversation=conversation)
    refused = await create(alice, "group", idempotency_key="k")
    assert refused["error"]["code"] == 113
    assert "$.idempotency_key" in refused["error"]["message"]


async def test_what_is_refused_makes_no_users(alice, mallory):
    conversation = (await create(alice, "group", external_id="order-1"))["conversation"]["id"]
    await create(mallory, "group", "ghost1", external_id="order-1")
    await create(mallory, "direct", "ghost2", "ghost3")
    await mallory.rpc("conversation.add_members", conversation=conversation, members=["ghost4"])
    await mallory.rpc("conversation.join", conversation=conversation)
    for number in range(1, 5):
        assert (await alice.rpc("user.get", user=f"ghost{number}"))["error"]["code"] == 103


async def test_only_who_could_sign_in_comes_to_be_by_being_named(mongodb_url, database_name, redis_url, redis_prefix):
    config = test_config(
        mongodb_url, database_name, redis_url, redis_prefix, token__user_id_pattern="u[0-9]+|\\u00fc.*|.{65,}"
    )
    async with serve_app(config) as app, wire_client(app.websocket) as one, app.api() as api:
        await one.connect(app.token("u1"))
        for kind, members in (("direct", ["bob"]), ("group", ["u2", "bob"])):
            refused = await create(one, kind, *members)
            assert refused["error"]["code"] == 107
            assert f"$.members[{len(members) - 1}]: " in refused["error"]["message"]
        conversation = await group(one, "u2")
        refused = await one.rpc("conversation.add_members", conversation=conversation, members=["bob"])
        assert refused["error"]["message"].startswith("bad_request: $.members[0]: ")
        for path, body in (
            ("user_upsert", {"user": "bob", "name": "Bob"}),
            ("rpc", {"user": "bob", "method": "sync", "params": {}}),
        ):
            answer = await (await api.post(f"/api/{path}", json=body)).json()
            assert answer["error"]["code"] == 107, path
        assert (await one.rpc("user.get", user="bob"))["error"]["code"] == 103
        for user in ("\u00fcmit", "u" * 65):
            async with wire_client(app.websocket) as strange:
                await strange.send(connect={"token": app.token(user)})
                assert await strange.closed() == 3500
