"""Pins, replies and forwards, changes in threads; and whoever may not know of any of it."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from support.app import App
from support.changing import heard, refusal, said, signed_in
from support.talking import group
from support.wire_client import WireClient


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "alice") as client:
        yield client


@pytest.fixture
async def bob(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "bob") as client:
        yield client


async def test_pins_are_told_and_listed_last_pinned_first(app: App, alice: WireClient, bob: WireClient) -> None:
    conversation = await group(alice, "bob")
    offsets = [await said(alice, conversation, str(number)) for number in range(5)]
    for offset in (offsets[3], offsets[0], offsets[4], offsets[0]):
        assert await alice.rpc("message.pin", conversation=conversation, offset=offset) == {}
    pins = await bob.rpc("history.pins", conversation=conversation)
    assert [message["text"] for message in pins["items"]] == ["4", "0", "3"]
    assert all(message["pinned_at"] for message in pins["items"])
    seen = (await bob.rpc("conversation.get", conversation=conversation))["conversation"]
    assert seen["pins"] == [offsets[3], offsets[0], offsets[4]]
    assert refusal(await bob.rpc("message.pin", conversation=conversation, offset=offsets[1]))[0] == 103
    async with app.rest("alice") as rest:
        path = f"/v1/conversations/{conversation}"
        assert (await rest.put(f"{path}/messages/{offsets[1]}/pin")).status == 200
        assert (await rest.delete(f"{path}/messages/{offsets[0]}/pin")).status == 200
        assert (await rest.delete(f"{path}/messages/{offsets[0]}/pin")).status == 200
        items = (await (await rest.get(f"{path}/pins?limit=2")).json())["items"]
        assert [message["text"] for message in items] == ["1", "4"]
    await bob.until(lambda: heard(bob, conversation, "message.unpinned"))
    told = [event["target"] for event in heard(bob, conversation, "message.pinned")]
    assert told == [offsets[3], offsets[0], offsets[4], offsets[1]]
    assert [event["target"] for event in heard(bob, conversation, "message.unpinned")] == [offsets[0]]


async def test_a_hundred_messages_are_pinned_and_no_more(alice: WireClient) -> None:
    conversation = await group(alice)
    offsets = [await said(alice, conversation, str(number)) for number in range(101)]
    for offset in offsets[:100]:
        assert await alice.rpc("message.pin", conversation=conversation, offset=offset) == {}
    refused = await alice.rpc("message.pin", conversation=conversation, offset=offsets[100])
    assert refusal(refused)[0] == 106
    found: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = await alice.rpc("history.pins", conversation=conversation, limit=30, **before)
        found += [message["text"] for message in page["items"]]
        if "next" not in page:
            break
        before = {"before": page["next"]}
    assert found == [str(number) for number in range(99, -1, -1)]
    assert refusal(await alice.rpc("history.pins", conversation=conversation, before="x"))[0] == 107
    await alice.rpc("message.unpin", conversation=conversation, offset=offsets[50])
    assert await alice.rpc("message.pin", conversation=conversation, offset=offsets[100]) == {}


async def test_paging_goes_on_where_it_was_though_pins_are_taken_off_meanwhile(alice: WireClient) -> None:
    conversation = await group(alice)
    offsets = [await said(alice, conversation, str(number)) for number in range(6)]
    for offset in offsets:
        await alice.rpc("message.pin", conversation=conversation, offset=offset)
    page = await alice.rpc("history.pins", conversation=conversation, limit=2)
    for offset in (offsets[4], offsets[5], offsets[3]):
        await alice.rpc("message.unpin", conversation=conversation, offset=offset)
    rest = await alice.rpc("history.pins", conversation=conversation, before=page["next"])
    assert [message["text"] for message in rest["items"]] == ["2", "1", "0"]


async def test_replies_in_a_thread_are_changed_as_all_messages_are(apps: tuple[App, App]) -> None:
    async with signed_in(apps[0], "alice") as alice, signed_in(apps[1], "bob") as bob:
        conversation = await group(alice, "bob")
        thread = f"{conversation}~{await said(alice, conversation, 'root')}"
        offsets = [await said(bob, thread, str(number)) for number in range(4)]
        place = {"conversation": thread, "offset": offsets[0]}
        assert (await bob.rpc("message.edit", **place, text="edited"))["message"]["version"] == 1
        assert refusal(await bob.rpc("message.pin", **place))[0] == 103
        assert await alice.rpc("message.pin", **place) == {}
        assert await bob.rpc("message.delete", conversation=thread, offset=offsets[1]) == {}
        assert await alice.rpc("message.delete", conversation=thread, offset=offsets[2]) == {}
        assert await bob.rpc("message.delete", conversation=thread, offset=offsets[3], **{"for": "me"}) == {}
        page = await bob.rpc("history.page", conversation=thread)
        assert [(message["text"], "deleted_at" in message) for message in page["items"]] == [
            ("edited", False),
            ("", True),
            ("", True),
        ]
        assert len((await alice.rpc("history.page", conversation=thread))["items"]) == 4
        pins = await bob.rpc("history.pins", conversation=thread)
        assert [message["text"] for message in pins["items"]] == ["edited"]


async def test_a_reply_is_to_a_message_of_the_same_conversation(alice: WireClient) -> None:
    conversation, other = await group(alice), await group(alice)
    offset = await said(alice, conversation, "one")
    for number in range(8):
        await said(alice, other, str(number))
    reply = {"conversation": conversation, "text": "re", "idempotency_key": "r"}
    sent = await alice.rpc("message.send", **reply, reply_to=offset)
    assert sent["message"]["reply_to"] == offset
    rule = "must be the offset of a message of this conversation, not deleted"
    for wrong in (1, 9, 2**40):
        refused = await alice.rpc("message.send", **{**reply, "idempotency_key": "s"}, reply_to=wrong)
        assert refusal(refused) == (107, f"bad_request: $.reply_to: {rule}")
    await alice.rpc("message.delete", conversation=conversation, offset=offset)
    again = await alice.rpc("message.send", **reply, reply_to=offset)
    assert (again["duplicate"], again["message"]) == (True, sent["message"])


async def test_a_forward_takes_along_what_was_said_and_where_it_was_said_first(
    alice: WireClient, bob: WireClient
) -> None:
    source, second, third = await group(alice, "bob"), await group(alice), await group(alice, "bob")
    said_by_bob = await bob.rpc(
        "message.send",
        conversation=source,
        idempotency_key="k",
        text="look",
        content={"type": "card", "x": 1},
        custom={"a": 1},
        attachments=[{"url": "https://x.example/1"}],
    )
    original = said_by_bob["message"]

    async def forward(to: str, conversation: str, offset: int, **more: Any) -> Any:
        of = {"conversation": conversation, "offset": offset}
        return await alice.rpc("message.send", conversation=to, idempotency_key=str(uuid4()), forward=of, **more)

    once = (await forward(second, source, original["offset"]))["message"]
    twice = (await forward(third, second, once["offset"]))["message"]
    first = {
        "conversation": source,
        "offset": original["offset"],
        "sender": "bob",
        "created_at": original["created_at"],
    }
    for message in (once, twice):
        assert message["forwarded"] == first
        assert message["sender"] == "alice"
        assert all(message[name] == original[name] for name in ("text", "content", "custom", "attachments"))
    hidden = await bob.rpc(
        "message.send", conversation=third, idempotency_key="x", forward={"conversation": second, "offset": 2}
    )
    missing = await bob.rpc(
        "message.send", conversation=third, idempotency_key="x", forward={"conversation": "a" * 26, "offset": 2}
    )
    assert refusal(hidden) == refusal(missing)
    assert refusal(hidden)[0] == 103
    assert "$.forward.conversation" in refusal(hidden)[1]
    for name, value in (("text", "x"), ("content", {"type": "x"}), ("attachments", [{}]), ("custom", {})):
        refused = await forward(third, source, original["offset"], **{name: value})
        assert refusal(refused) == (107, f"bad_request: $.{name}: is taken from the forwarded message")


async def test_foreign_and_missing_conversations_answer_alike_for_every_change(
    alice: WireClient, bob: WireClient
) -> None:
    conversation = await group(alice)
    offset = await said(alice, conversation, "secret")
    for method, fields in (
        ("message.edit", {"offset": offset, "text": "x"}),
        ("message.delete", {"offset": offset}),
        ("message.delete", {"offset": offset, "for": "me"}),
        ("message.versions", {"offset": offset}),
        ("message.pin", {"offset": offset}),
        ("message.unpin", {"offset": offset}),
        ("history.pins", {}),
    ):
        foreign = await bob.rpc(method, conversation=conversation, **fields)
        missing = await bob.rpc(method, conversation="a" * 26, **fields)
        assert json.dumps(foreign) == json.dumps(missing), method
        assert foreign["error"]["code"] == 103, method
        if "offset" in fields:
            for nowhere in (1, offset + 1):
                no_message = await alice.rpc(method, conversation=conversation, **{**fields, "offset": nowhere})
                if (fields.get("for"), nowhere) != ("me", 1):
                    expected = (103, "permission_denied: $.offset: there is no message at this offset")
                    assert refusal(no_message) == expected, (method, nowhere)
