"""Blocks: between two users nothing is sent while one blocks the other; in groups nothing changes."""

import asyncio

import pytest

from storage.mongo.blocks import MAX_BLOCKED
from storage.store import open_store
from support.talking import group, say
from support.wire_client import wire_client

RULE = "permission_denied: $.conversation: one of the two blocks the other"


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


async def direct(client, other: str) -> str:
    made = await client.rpc("conversation.create", kind="direct", members=[other])
    return str(made["conversation"]["id"])


async def test_neither_of_two_writes_to_the_other_while_one_blocks(alice, bob):
    conversation = await direct(alice, "bob")
    assert "error" not in await say(alice, conversation, "hi")
    assert await alice.rpc("user.block", user="bob") == {}
    for client in (alice, bob):
        assert (await say(client, conversation, "x"))["error"]["message"] == RULE
        publish = {"channel": f"conv:{conversation}", "data": {"idempotency_key": "k", "text": "x"}}
        assert (await client.call(publish=publish))["error"]["code"] == 103
    page = await bob.rpc("history.page", conversation=conversation)
    assert [item["text"] for item in page["items"]] == ["hi"]
    assert await alice.rpc("user.unblock", user="bob") == {}
    for client in (alice, bob):
        assert "error" not in await say(client, conversation, "again")


async def test_while_both_block_one_unblocking_is_not_enough(alice, bob):
    conversation = await direct(alice, "bob")
    await alice.rpc("user.block", user="bob")
    await bob.rpc("user.block", user="alice")
    await alice.rpc("user.unblock", user="bob")
    assert (await say(alice, conversation, "x"))["error"]["message"] == RULE
    await bob.rpc("user.unblock", user="alice")
    assert "error" not in await say(alice, conversation, "x")


async def test_in_groups_a_block_changes_nothing(alice, bob):
    conversation = await group(alice, "bob")
    await alice.rpc("user.block", user="bob")
    assert "error" not in await say(bob, conversation, "x")
    assert "error" not in await say(alice, conversation, "y")


async def test_a_block_holds_on_every_hub_for_what_is_sent_after_it(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await direct(alice, "bob")
        assert "error" not in await say(bob, conversation, "warm")
        for method, refused in (("user.block", True), ("user.unblock", False)):
            await alice.rpc(method, user="bob")

            async def told(refused: bool = refused) -> None:
                async with asyncio.timeout(5):
                    while ("error" in await say(bob, conversation, "x")) is not refused:
                        await asyncio.sleep(0.01)

            await told()


async def test_the_list_is_private_paged_and_told_to_the_users_own_devices(app, alice, bob):
    for user in ("carol", "bob", "dave"):
        await alice.rpc("user.block", user=user)
    first = await alice.rpc("user.blocked", limit=2)
    assert [one["user"] for one in first["blocked"]] == ["bob", "carol"]
    rest = await alice.rpc("user.blocked", limit=2, after=first["next"])
    assert [one["user"] for one in rest["blocked"]] == ["dave"]
    assert "next" not in rest
    assert (await bob.rpc("user.blocked"))["blocked"] == []
    await alice.until(lambda: len(alice.publications("user:alice")) == 3)
    assert {pub["data"]["type"] for pub in alice.publications("user:alice")} == {"user.changed"}
    assert bob.publications("user:bob") == []


async def test_blocking_again_or_unblocking_who_is_not_blocked_changes_nothing(alice):
    for _ in range(2):
        assert await alice.rpc("user.block", user="bob") == {}
    before = (await alice.rpc("sync"))["revision"]
    assert await alice.rpc("user.block", user="bob") == {}
    assert await alice.rpc("user.unblock", user="carol") == {}
    assert (await alice.rpc("sync"))["revision"] == before
    await alice.rpc("user.unblock", user="bob")
    assert (await alice.rpc("sync"))["revision"] == before + 1


async def test_one_does_not_block_oneself_or_who_cannot_be(alice):
    assert (await alice.rpc("user.block", user="alice"))["error"]["code"] == 107
    assert (await alice.rpc("user.block", user="no spaces"))["error"]["code"] == 107


async def test_ids_that_run_into_each_other_are_told_apart(config, app, alice):
    """`a|b` blocking `c` is not `a` blocking `b|c`."""
    async with wire_client(app.websocket) as one, wire_client(app.websocket) as other:
        await one.connect(app.token("a|b"))
        await other.connect(app.token("a"))
        await one.rpc("user.block", user="c")
        await other.rpc("user.block", user="b|d")
        assert [x["user"] for x in (await one.rpc("user.blocked"))["blocked"]] == ["c"]
        assert [x["user"] for x in (await other.rpc("user.blocked"))["blocked"]] == ["b|d"]


async def test_there_are_as_many_as_there_may_be(config, alice):
    url, database = config.mongodb.url.reveal(), config.mongodb.database
    async with open_store(url, database) as store:
        await store.blocks.block("alice", "first", at=1)
        rows = [
            {"_id": f"5:alicex{n}", "user": "alice", "blocked": f"x{n}", "at": 1, "revision": 1} for n in range(998)
        ]
        await store.blocks._blocks.insert_many(rows)
    assert MAX_BLOCKED == 1000
    assert await alice.rpc("user.block", user="n1000") == {}
    refused = await alice.rpc("user.block", user="n1001")
    assert refused["error"]["code"] == 106
    assert await alice.rpc("user.block", user="n1000") == {}
    await alice.rpc("user.unblock", user="first")
    assert await alice.rpc("user.block", user="n1001") == {}


async def test_the_rest_twins(app):
    async with app.rest("alice") as rest:
        assert (await rest.put("/v1/me/blocked/bob")).status == 200
        assert [one["user"] for one in (await (await rest.get("/v1/me/blocked")).json())["blocked"]] == ["bob"]
        made = await (await rest.post("/v1/conversations", json={"kind": "direct", "members": ["bob"]})).json()
        conversation = made["conversation"]["id"]
        sent = await rest.post(
            f"/v1/conversations/{conversation}/messages", json={"text": "x"}, headers={"Idempotency-Key": "k"}
        )
        assert sent.status == 403
        assert (await rest.delete("/v1/me/blocked/bob")).status == 200
        assert (await (await rest.get("/v1/me/blocked")).json())["blocked"] == []
