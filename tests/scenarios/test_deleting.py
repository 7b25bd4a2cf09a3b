"""Messages that are deleted, for all or for oneself."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pymongo import MongoClient

from support.app import App
from support.changing import heard, personal, refusal, said, signed_in
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "alice") as client:
        yield client


@pytest.fixture
async def bob(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "bob") as client:
        yield client


@pytest.fixture
def stored(_mongodb: MongoClient[dict[str, Any]], database_name: str) -> Callable[[str], str]:
    """All that a collection holds, as text."""
    return lambda name: str(list(_mongodb[database_name][name].find()))


async def test_of_a_deleted_message_nothing_is_left(
    alice: WireClient, bob: WireClient, stored: Callable[[str], str]
) -> None:
    conversation = await group(alice, "bob")
    place = {"conversation": conversation, "offset": await said(alice, conversation, "secret-original")}
    await say(alice, conversation, "another")
    await alice.rpc("message.edit", **place, text="secret-second", content={"type": "x", "secret": 1})
    await alice.rpc("message.edit", **place, text="secret-third")
    await alice.rpc("message.pin", **place)
    assert "error" not in await bob.rpc("message.react", **place, reaction="+1")
    last = {"conversation": conversation, "offset": await said(alice, conversation, "secret-last")}
    assert "secret-original" in stored("messages")
    await eventually(lambda: "secret-last" in stored("conversations"))
    assert await alice.rpc("message.delete", **place) == {}
    assert await alice.rpc("message.delete", **last) == {}
    assert "secret" not in stored("messages")
    await eventually(lambda: stored("reactions") == "[]")
    for name in ("messages", "reactions", "conversations"):
        await eventually(lambda name=name: "secret" not in stored(name))
    message = (await bob.rpc("message.get", **place))["message"]
    assert message.pop("deleted_at") > 0
    assert set(message) == {"id", "conversation", "offset", "n", "sender", "text", "created_at", "idempotency_key"}
    assert message["text"] == ""
    assert (await bob.rpc("history.pins", conversation=conversation))["items"] == []
    listed = (await bob.rpc("conversation.list"))["conversations"][0]
    assert listed.get("pins", []) == []
    await bob.until(lambda: len(heard(bob, conversation, "message.deleted")) == 2)
    event = heard(bob, conversation, "message.deleted")[0]
    assert (event["target"], event["by"]) == (place["offset"], "alice")
    assert not {"message", "reason"} & set(event)


async def test_deleting_twice_is_deleting_once(alice: WireClient, bob: WireClient) -> None:
    conversation = await group(alice, "bob")
    place = {"conversation": conversation, "offset": await said(alice, conversation, "one")}
    for _ in range(3):
        assert await alice.rpc("message.delete", **place) == {}
    await say(alice, conversation, "done")
    await bob.until(lambda: len(heard(bob, conversation, "message.created")) == 2)
    assert len(heard(bob, conversation, "message.deleted")) == 1
    assert refusal(await bob.rpc("message.delete", **place))[0] == 103


async def test_a_deleted_message_is_not_edited_pinned_replied_to_or_forwarded(alice: WireClient) -> None:
    conversation = await group(alice)
    place = {"conversation": conversation, "offset": await said(alice, conversation, "one")}
    await alice.rpc("message.delete", **place)
    deleted = (113, "conflict: $.offset: the message is deleted")
    assert refusal(await alice.rpc("message.edit", **place, text="x")) == deleted
    assert refusal(await alice.rpc("message.pin", **place)) == deleted
    reply = {"conversation": conversation, "text": "re", "reply_to": place["offset"], "idempotency_key": "r"}
    assert refusal(await alice.rpc("message.send", **reply))[0] == 107
    forward = {"conversation": conversation, "forward": place, "idempotency_key": "f"}
    code, message = refusal(await alice.rpc("message.send", **forward))
    assert (code, "$.forward.offset" in message) == (103, True)


async def test_what_has_expired_is_not_changed_whether_or_not_it_is_deleted_yet(
    alice: WireClient, stored: Callable[[str], str]
) -> None:
    conversation = await group(alice)
    sent = await alice.rpc(
        "message.send", conversation=conversation, idempotency_key="k", text="fleeting", expires_in_s=1
    )
    place = {"conversation": conversation, "offset": sent["message"]["offset"]}

    async def over() -> bool:
        return "deleted_at" in (await alice.rpc("message.get", **place))["message"]

    await eventually(over)
    assert "fleeting" in stored("messages")  # no worker is there
    deleted = (113, "conflict: $.offset: the message is deleted")
    assert refusal(await alice.rpc("message.edit", **place, text="x")) == deleted
    assert refusal(await alice.rpc("message.pin", **place)) == deleted
    assert refusal(await alice.rpc("message.versions", **place)) == deleted
    assert await alice.rpc("message.delete", **place) == {}
    assert "fleeting" not in stored("messages")


async def test_only_the_author_and_moderators_delete_for_all(alice: WireClient, bob: WireClient) -> None:
    conversation = await group(alice, "bob")
    mine = {"conversation": conversation, "offset": await said(alice, conversation, "mine")}
    bobs = {"conversation": conversation, "offset": await said(bob, conversation, "bobs")}
    refused = await bob.rpc("message.delete", **mine)
    assert refusal(refused) == (103, "permission_denied: $.conversation: a member of a group may not delete_any")
    assert await alice.rpc("message.delete", **bobs) == {}


async def test_a_repeated_send_of_a_deleted_message_says_that_it_is_deleted(alice: WireClient) -> None:
    conversation = await group(alice)
    send = {"conversation": conversation, "idempotency_key": "k", "text": "one"}
    sent = await alice.rpc("message.send", **send)
    await alice.rpc("message.delete", conversation=conversation, offset=sent["message"]["offset"])
    again = await alice.rpc("message.send", **send)
    assert (again["duplicate"], again["message"]["text"]) == (True, "")
    assert again["message"]["deleted_at"] > 0


async def test_what_one_has_hidden_is_gone_for_oneself_only(apps: tuple[App, App]) -> None:
    one, two = apps
    async with (
        signed_in(one, "alice") as alice,
        signed_in(one, "bob") as bob,
        signed_in(two, "bob") as tablet,
    ):
        conversation = await group(alice, "bob")
        offsets = [await said(alice, conversation, str(number)) for number in range(5)]
        await alice.rpc("message.pin", conversation=conversation, offset=offsets[1])
        await alice.rpc("message.pin", conversation=conversation, offset=offsets[2])
        for client in (bob, tablet):
            assert len((await client.rpc("history.page", conversation=conversation))["items"]) == 5
        hide = {"conversation": conversation, "for": "me"}
        assert await bob.rpc("message.delete", **hide, offset=offsets[1]) == {}
        assert await bob.rpc("message.delete", **hide, offsets=[offsets[3], offsets[1]]) == {}
        await tablet.until(lambda: len(personal(tablet, "bob", "message.hidden")) == 2)
        told = [event["offsets"] for event in personal(tablet, "bob", "message.hidden")]
        assert told == [[offsets[1]], [offsets[3]]]

        async def shown(client: WireClient) -> list[str]:
            page = await client.rpc("history.page", conversation=conversation)
            return [message["text"] for message in page["items"]]

        assert await shown(bob) == ["0", "2", "4"]
        await eventually(lambda: _equal(shown(tablet), ["0", "2", "4"]))
        assert await shown(alice) == ["0", "1", "2", "3", "4"]
        pins = await bob.rpc("history.pins", conversation=conversation)
        assert [message["text"] for message in pins["items"]] == ["2"]
        assert refusal(await bob.rpc("message.get", conversation=conversation, offset=offsets[1]))[0] == 103
        assert "message" in await alice.rpc("message.get", conversation=conversation, offset=offsets[1])
        again = await bob.rpc("message.delete", **hide, offset=offsets[1])
        assert again == {}

        async def last(client: WireClient) -> str | None:
            view = (await client.rpc("conversation.get", conversation=conversation))["conversation"]
            return view["last_message"]["text"] if "last_message" in view else None

        await eventually(lambda: _equal(last(bob), "4"))
        await bob.rpc("message.delete", **hide, offset=offsets[4])
        assert await last(bob) is None
        assert await last(alice) == "4"
        assert not personal(alice, "alice", "message.hidden")


async def _equal(answer: Any, expected: object) -> bool:
    return bool(await answer == expected)


async def test_hiding_names_messages_that_are_there_and_a_hundred_at_most(alice: WireClient) -> None:
    conversation = await group(alice)
    last = [await said(alice, conversation, str(number)) for number in range(3)][-1]
    hide = {"conversation": conversation, "for": "me"}
    beyond = await alice.rpc("message.delete", **hide, offset=last + 1)
    assert refusal(beyond) == (103, "permission_denied: $.offset: there is no message at this offset")
    among = await alice.rpc("message.delete", **hide, offsets=[last, last + 1])
    assert refusal(among) == (103, "permission_denied: $.offsets[1]: there is no message at this offset")
    assert len((await alice.rpc("history.page", conversation=conversation))["items"]) == 3
    assert await alice.rpc("message.delete", **hide, offsets=[last] * 100) == {}
    assert refusal(await alice.rpc("message.delete", **hide, offsets=[last] * 101))[0] == 107
    for fields in ({}, {"offset": 2, "offsets": [2]}, {"offsets": [2], "for": "all"}):
        code, message = refusal(await alice.rpc("message.delete", conversation=conversation, **fields))
        assert (code, "$.offset" in message) == (107, True)


async def test_hiding_over_http(app: App, alice: WireClient) -> None:
    conversation = await group(alice)
    offsets = [await said(alice, conversation, str(number)) for number in range(4)]
    path = f"/v1/conversations/{conversation}/messages"
    async with app.rest("alice") as rest:
        assert (await rest.delete(f"{path}/{offsets[0]}?for=me")).status == 200
        assert (await rest.post(f"{path}/delete", json={"for": "me", "offsets": offsets[1:3]})).status == 200
        assert (await rest.delete(f"{path}/{offsets[3]}?offsets=1")).status == 400
        page = await (await rest.get(path)).json()
        assert [message["text"] for message in page["items"]] == ["3"]
        assert (await rest.delete(f"{path}/{offsets[3]}")).status == 200
        assert "deleted_at" in (await (await rest.get(f"{path}/{offsets[3]}")).json())["message"]
