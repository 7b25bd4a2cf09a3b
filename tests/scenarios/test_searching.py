"""Finding messages, over the socket and by REST."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from support.app import App
from support.talking import group, say
from support.wire_client import WireClient, wire_client


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


async def send(client: WireClient, conversation: str, **fields: Any) -> int:
    sent = await client.rpc("message.send", conversation=conversation, idempotency_key=str(uuid4()), **fields)
    return int(sent["message"]["offset"])


def offsets(result: Any) -> list[int]:
    return [item["offset"] for item in result["items"]]


async def test_a_hit_is_found_by_socket_and_rest_and_shown_in_its_place(app: App, alice: WireClient) -> None:
    conversation = await group(alice, "bob")
    for number in range(20):
        await say(alice, conversation, f"message {number}")
    needle = await send(alice, conversation, text="Where is the Needle?")
    for number in range(20):
        await say(alice, conversation, f"more {number}")
    found = await alice.rpc("history.search", conversation=conversation, text="needle WHERE")
    assert offsets(found) == [needle]
    assert (found["examined_to"], found.get("next")) == (1, None)
    async with app.rest("bob") as bob:
        async with bob.get(f"/v1/conversations/{conversation}/search", params={"text": "need"}) as response:
            assert await response.json() == found
        around = {"around": str(needle), "limit": "5"}
        async with bob.get(f"/v1/conversations/{conversation}/messages", params=around) as response:
            assert needle in offsets(await response.json())


async def test_a_limit_is_kept_and_next_goes_on(alice: WireClient) -> None:
    conversation = await group(alice)
    sent = [await send(alice, conversation, text="word") for _ in range(5)]
    found: list[int] = []
    place: dict[str, int] = {}
    while True:
        page = await alice.rpc("history.search", conversation=conversation, text="word", limit=2, **place)
        found += offsets(page)
        if "next" not in page:
            break
        place = {"from_offset": page["next"]}
    assert found == sent[::-1]


async def test_deleted_hidden_and_expired_messages_are_not_found(app: App, alice: WireClient) -> None:
    conversation = await group(alice, "bob")
    deleted, hidden, kept = [await send(alice, conversation, text="findme") for _ in range(3)]
    await alice.rpc("message.delete", conversation=conversation, offset=deleted)
    assert "error" not in await alice.rpc(
        "message.delete", **{"conversation": conversation, "offset": hidden, "for": "me"}
    )
    assert offsets(await alice.rpc("history.search", conversation=conversation, text="findme")) == [kept]
    async with wire_client(app.websocket) as bob:
        await bob.connect(app.token("bob"))
        assert offsets(await bob.rpc("history.search", conversation=conversation, text="findme")) == [kept, hidden]


async def test_after_an_edit_the_new_words_are_found(alice: WireClient) -> None:
    conversation = await group(alice)
    offset = await send(alice, conversation, text="before")
    await alice.rpc("message.edit", conversation=conversation, offset=offset, text="afterwards")
    assert offsets(await alice.rpc("history.search", conversation=conversation, text="before")) == []
    assert offsets(await alice.rpc("history.search", conversation=conversation, text="after")) == [offset]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "$.text: give words, a sender or has_attachment"),
        ({"text": " \n\t "}, "$.text: give words"),
        ({"text": "x" * 201}, "$.text: expected `str` of length <= 200"),
        ({"text": " ".join(map(str, range(11)))}, "$.text: must have at most 10 words, has 11"),
        ({"text": "\ud800"}, ""),
        ({"text": "x", "limit": 101}, "$.limit: expected `int` <= 100"),
        ({"text": "x", "limit": 0}, "$.limit: expected `int` >= 1"),
        ({"text": "x", "from_offset": 0}, "$.from_offset: expected `int` >= 1"),
        ({"text": "x", "after": -1}, "$.after: expected `int` >= 0"),
        ({"sender": ""}, "$.sender: "),
    ],
)
async def test_what_breaks_a_rule_is_named(alice: WireClient, fields: dict[str, Any], says: str) -> None:
    conversation = await group(alice)
    answer = await alice.rpc("history.search", conversation=conversation, **fields)
    assert answer["error"]["code"] == 107
    assert says in answer["error"]["message"]


async def test_just_within_the_bounds_is_fine(alice: WireClient) -> None:
    conversation = await group(alice)
    for fields in ({"text": "x" * 200}, {"text": " ".join(map(str, range(10)))}, {"sender": "bob", "limit": 100}):
        assert offsets(await alice.rpc("history.search", conversation=conversation, **fields)) == []


async def test_foreign_and_missing_conversations_are_refused_alike(app: App, alice: WireClient) -> None:
    conversation = await group(alice)
    async with wire_client(app.websocket) as mallory:
        await mallory.connect(app.token("mallory"))
        answers = [await mallory.rpc("history.search", conversation=one, text="x") for one in (conversation, "a" * 26)]
    assert answers[0] == answers[1]
    assert answers[0]["error"]["code"] == 103
