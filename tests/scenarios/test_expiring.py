"""Messages that delete themselves: by their own time, by the conversation's, with a worker and without."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from chat.config import Config
from chat.worker import open_worker
from support.app import App, serve_app, test_config
from support.talking import group
from support.wire_client import WireClient, wire_client

DAY_S = 24 * 3600


@pytest.fixture
async def worker(app: App, config: Config) -> AsyncIterator[None]:
    async with open_worker(config):
        yield


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


async def send(client: WireClient, conversation: str, text: str = "secret", **fields: Any) -> Any:
    return await client.rpc(
        "message.send", conversation=conversation, idempotency_key=str(uuid4()), text=text, **fields
    )


def events(client: WireClient, conversation: str, kind: str) -> list[Any]:
    return [each["data"] for each in client.publications(f"conv:{conversation}") if each["data"]["type"] == kind]


async def test_a_worker_deletes_it_within_seconds_for_all_and_the_count_stays(
    app: App, alice: WireClient, worker: None
) -> None:
    conversation = await group(alice, "bob")
    sent = (await send(alice, conversation, expires_in_s=1))["message"]
    assert sent["expires_at"] == sent["created_at"] + 1000
    await alice.until(lambda: events(alice, conversation, "message.deleted"), within_s=10)
    (deleted,) = events(alice, conversation, "message.deleted")
    assert (deleted["target"], deleted["reason"], deleted["by"]) == (sent["offset"], "expired", "")
    left = (await alice.rpc("message.get", conversation=conversation, offset=sent["offset"]))["message"]
    assert (left.get("text", ""), left["n"], left["sender"]) == ("", 1, "alice")
    assert left["deleted_at"] >= sent["expires_at"]
    async with wire_client(app.websocket) as bob:
        await bob.connect(app.token("bob"))
        view = (await bob.rpc("conversation.get", conversation=conversation))["conversation"]
        assert (view["unread"], view["last_message"]["text"]) == (1, "")


async def test_readers_see_a_tombstone_in_time_without_any_worker(app: App, alice: WireClient) -> None:
    conversation = await group(alice, "bob")
    offset = (await send(alice, conversation, expires_in_s=1))["message"]["offset"]
    await send(alice, conversation, "kept")

    async def gone() -> bool:
        got = await alice.rpc("message.get", conversation=conversation, offset=offset)
        return "deleted_at" in got["message"]

    while not await gone():
        pass
    page = await alice.rpc("history.page", conversation=conversation)
    around = await alice.rpc("history.page", conversation=conversation, around=offset)
    found = await alice.rpc("history.search", conversation=conversation, text="secret")
    synced = await alice.rpc("sync", epoch=app.running.process.store.epoch, cursors={conversation: 1})
    assert found["items"] == []
    assert "secret" not in json.dumps([page, around, synced])
    assert [item.get("text", "") for item in page["items"]] == ["", "kept"]
    async with wire_client(app.websocket) as bob:
        epoch = app.running.process.store.epoch
        channel = f"conv:{conversation}"
        await bob.connect(app.token("bob"), subs={channel: {"recover": True, "epoch": epoch, "offset": 1}})
        await bob.until(lambda: len(bob.offsets(channel)) + len(_inline(bob, channel)) >= 2)
        assert "secret" not in json.dumps([bob.replies, bob.pushes])


def _inline(client: WireClient, channel: str) -> list[Any]:
    return [
        publication
        for reply in client.replies.values()
        for publication in reply.get("connect", {}).get("subs", {}).get(channel, {}).get("publications", [])
    ]


async def test_a_repeat_of_an_expired_message_is_answered_with_what_is_left(alice: WireClient) -> None:
    conversation = await group(alice)
    request = {"conversation": conversation, "idempotency_key": "k", "text": "secret", "expires_in_s": 1}
    first = await alice.rpc("message.send", **request)
    repeat = first
    while "deleted_at" not in repeat["message"]:
        repeat = await alice.rpc("message.send", **request)
    assert repeat["duplicate"]
    assert repeat["message"]["offset"] == first["message"]["offset"]
    assert "secret" not in json.dumps(repeat)


async def test_the_shorter_of_the_message_s_time_and_the_conversation_s_counts(alice: WireClient) -> None:
    conversation = await group(alice)
    updated = await alice.rpc("conversation.update", conversation=conversation, settings={"message_ttl_s": 600})
    assert "error" not in updated
    for wish, lasts in ((None, 600), (60, 60), (6000, 600)):
        sent = (await send(alice, conversation, **({} if wish is None else {"expires_in_s": wish})))["message"]
        assert sent["expires_at"] == sent["created_at"] + lasts * 1000


async def test_the_time_is_within_bounds(alice: WireClient) -> None:
    conversation = await group(alice)
    assert "error" not in await send(alice, conversation, expires_in_s=30 * DAY_S)
    for wish, rule in ((0, "expected `int` >= 1"), (30 * DAY_S + 1, "must be at most 2592000")):
        answer = await send(alice, conversation, expires_in_s=wish)
        assert answer["error"]["code"] == 107
        assert f"$.expires_in_s: {rule}" in answer["error"]["message"]


async def test_the_operator_sets_the_bound(
    mongodb_url: str, database_name: str, redis_url: str, redis_prefix: str
) -> None:
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, limits__message_ttl_max="10s")
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        assert "error" not in await send(alice, conversation, expires_in_s=10)
        assert "at most 10" in (await send(alice, conversation, expires_in_s=11))["error"]["message"]
