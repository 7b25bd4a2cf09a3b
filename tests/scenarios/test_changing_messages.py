"""Messages that are edited, deleted, pinned and hidden, over the socket and over HTTP, on one hub and on two."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from support.app import App
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


@asynccontextmanager
async def signed_in(app: App, user: str) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token(user))
        yield client


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "alice") as client:
        yield client


@pytest.fixture
async def bob(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "bob") as client:
        yield client


async def said(client: WireClient, conversation: str, text: str) -> int:
    """Send a message; returns its offset."""
    return (await say(client, conversation, text))["message"]["offset"]


def heard(client: WireClient, conversation: str, kind: str) -> list[dict[str, Any]]:
    events = [pub["data"] for pub in client.publications(f"conv:{conversation}")]
    return [event for event in events if event["type"] == kind]


def personal(client: WireClient, user: str, kind: str) -> list[dict[str, Any]]:
    return [pub["data"] for pub in client.publications(f"user:{user}") if pub["data"]["type"] == kind]


def refusal(answer: Any) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["message"]


# Editing


async def test_an_edit_is_told_and_read_everywhere(apps: tuple[App, App]) -> None:
    async with signed_in(apps[0], "alice") as alice, signed_in(apps[1], "bob") as bob:
        conversation = await group(alice, "bob")
        offset = await said(alice, conversation, "helo")
        edited = await alice.rpc("message.edit", conversation=conversation, offset=offset, text="hello")
        message = edited["message"]
        assert (message["text"], message["version"], edited["duplicate"]) == ("hello", 1, False)
        assert message["edited_at"] >= message["created_at"]
        await bob.until(lambda: heard(bob, conversation, "message.edited"))
        event = heard(bob, conversation, "message.edited")[0]
        assert (event["target"], event["by"], event["message"]) == (offset, "alice", message)
        assert (await bob.rpc("message.get", conversation=conversation, offset=offset))["message"] == message
        page = await bob.rpc("history.page", conversation=conversation)
        assert page["items"] == [message]


async def test_an_edit_leaves_what_it_does_not_name_and_takes_away_what_it_empties(alice: WireClient) -> None:
    conversation = await group(alice)
    sent = await alice.rpc(
        "message.send",
        conversation=conversation,
        idempotency_key="k",
        text="one",
        content={"type": "card", "x": 1},
        custom={"a": 1},
        attachments=[{"url": "https://x.example/1"}],
    )
    place = {"conversation": conversation, "offset": sent["message"]["offset"]}
    edited = (await alice.rpc("message.edit", **place, content={"type": "card", "x": 2}))["message"]
    assert (edited["text"], edited["content"]["x"], edited["custom"]) == ("one", 2, {"a": 1})
    bare = (await alice.rpc("message.edit", **place, content=None, custom={}, attachments=[]))["message"]
    assert bare["text"] == "one"
    assert not {"content", "custom", "attachments"} & set(bare)
    nothing = await alice.rpc("message.edit", **place, text="")
    assert refusal(nothing) == (107, "bad_request: $.text: leaves nothing: give a text, a content or attachments")
    assert refusal(await alice.rpc("message.edit", **place))[0] == 107
    same = await alice.rpc("message.edit", **place, text="one")
    assert (same["message"]["version"], same["duplicate"]) == (2, False)


async def test_only_the_author_and_moderators_edit(alice: WireClient, bob: WireClient) -> None:
    conversation = await group(alice, "bob", "carol")
    mine = await said(alice, conversation, "mine")
    bobs = await said(bob, conversation, "bobs")
    refused = await bob.rpc("message.edit", conversation=conversation, offset=mine, text="x")
    assert refusal(refused) == (103, "permission_denied: $.conversation: a member of a group may not edit_any")
    moderated = await alice.rpc("message.edit", conversation=conversation, offset=bobs, text="[removed]")
    assert moderated["message"]["sender"] == "bob"
    direct = (await alice.rpc("conversation.create", kind="direct", members=["bob"]))["conversation"]["id"]
    theirs = await said(bob, direct, "private")
    assert refusal(await alice.rpc("message.edit", conversation=direct, offset=theirs, text="x"))[0] == 103


async def test_an_edit_of_another_version_than_the_one_seen_is_a_conflict(alice: WireClient) -> None:
    conversation = await group(alice)
    place = {"conversation": conversation, "offset": await said(alice, conversation, "one")}
    assert "message" in await alice.rpc("message.edit", **place, text="two", if_version=0)
    refused = await alice.rpc("message.edit", **place, text="three", if_version=0)
    assert refusal(refused) == (113, "conflict: $.if_version: the message has version 1 by now")
    assert "message" in await alice.rpc("message.edit", **place, text="three", if_version=1)


async def test_a_repeated_edit_is_made_once_whatever_has_happened_since(apps: tuple[App, App]) -> None:
    async with signed_in(apps[0], "alice") as alice, signed_in(apps[1], "alice") as tablet:
        conversation = await group(alice)
        place = {"conversation": conversation, "offset": await said(alice, conversation, "one")}
        edit = {**place, "text": "two", "if_version": 0, "idempotency_key": str(uuid4())}
        first = await alice.rpc("message.edit", **edit)
        await alice.rpc("message.edit", **place, text="three")
        for client in (alice, tablet):
            again = await client.rpc("message.edit", **edit)
            assert again["duplicate"] is True
            assert (again["message"]["text"], again["message"]["version"]) == ("three", 2)
        assert first["duplicate"] is False
        async with apps[1].rest("alice") as rest:
            answer = await rest.patch(
                f"/v1/conversations/{conversation}/messages/{place['offset']}",
                json={"text": "two"},
                headers={"Idempotency-Key": edit["idempotency_key"]},
            )
            assert (answer.status, (await answer.json())["duplicate"]) == (200, True)


async def test_a_key_of_something_else_is_a_conflict(alice: WireClient) -> None:
    conversation = await group(alice)
    sent = await alice.rpc("message.send", conversation=conversation, idempotency_key="sent", text="one")
    place = {"conversation": conversation, "offset": sent["message"]["offset"]}
    other = await said(alice, conversation, "other")
    await alice.rpc("message.edit", **place, text="two", idempotency_key="edited")
    taken = (113, "conflict: $.idempotency_key: stands for another change")
    assert refusal(await alice.rpc("message.edit", **place, text="x", idempotency_key="sent")) == taken
    elsewhere = {"conversation": conversation, "offset": other, "text": "x", "idempotency_key": "edited"}
    assert refusal(await alice.rpc("message.edit", **elsewhere)) == taken
    send = {"conversation": conversation, "text": "x", "idempotency_key": "edited"}
    assert refusal(await alice.rpc("message.send", **send)) == taken


async def test_a_message_is_edited_a_hundred_times_and_no_more(alice: WireClient) -> None:
    conversation = await group(alice)
    place = {"conversation": conversation, "offset": await said(alice, conversation, "text 0")}
    for number in range(1, 101):
        edited = await alice.rpc("message.edit", **place, text=f"text {number}")
        assert edited["message"]["version"] == number
    refused = await alice.rpc("message.edit", **place, text="text 101")
    assert refusal(refused) == (106, "limit_exceeded: $.offset: a message is edited at most 100 times")
    assert "message" in await alice.rpc("message.edit", **place, text="text 100")
    found: list[dict[str, Any]] = []
    before: dict[str, int] = {}
    while True:
        page = await alice.rpc("message.versions", **place, limit=30, **before)
        found += page["versions"]
        if "next" not in page:
            break
        before = {"before": page["next"]}
    assert [(one["version"], one["text"]) for one in found] == [(n, f"text {n}") for n in range(100, -1, -1)]
    await alice.rpc("message.delete", **place)
    assert refusal(await alice.rpc("message.versions", **place))[0] == 113


async def test_versions_are_for_the_author_and_moderators(alice: WireClient, bob: WireClient) -> None:
    conversation = await group(alice, "bob", "carol")
    place = {"conversation": conversation, "offset": await said(bob, conversation, "one")}
    only = await bob.rpc("message.versions", **place)
    assert [(one["version"], one["text"], one["by"]) for one in only["versions"]] == [(0, "one", "bob")]
    await alice.rpc("message.edit", **place, text="two")
    for client in (alice, bob):
        versions = (await client.rpc("message.versions", **place))["versions"]
        assert [(one["version"], one["text"], one["by"]) for one in versions] == [
            (1, "two", "alice"),
            (0, "one", "bob"),
        ]
    mine = {"conversation": conversation, "offset": await said(alice, conversation, "mine")}
    assert refusal(await bob.rpc("message.versions", **mine))[0] == 103


async def test_who_is_muted_neither_sends_nor_edits_but_deletes(app: App, alice: WireClient, bob: WireClient) -> None:
    conversation = await group(alice, "bob")
    place = {"conversation": conversation, "offset": await said(bob, conversation, "one")}
    await alice.rpc("conversation.mute", conversation=conversation, user="bob")
    for answer in (
        await say(bob, conversation, "two"),
        await bob.rpc("message.edit", **place, text="two"),
        await bob.rpc("typing.start", conversation=conversation),
    ):
        code, message = refusal(answer)
        assert code == 103
        assert "muted_until is " in message
    assert await bob.rpc("message.delete", **place) == {}


# Deleting for all


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


# Deleting for oneself


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


# Pins


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


# In threads


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


# Replies and forwards


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


async def test_content_says_its_type(app: App, alice: WireClient) -> None:
    conversation = await group(alice)
    send = {"conversation": conversation, "idempotency_key": "k"}
    rule = "bad_request: $.content.type: must be 1–64 characters of a-z, 0-9 and ._-"
    for content in ({}, {"type": ""}, {"type": 1}, {"type": "X"}, {"type": "x" * 65}, {"type": "x\n"}, {"type": "é"}):
        assert refusal(await alice.rpc("message.send", **send, content=content)) == (107, rule), content
    assert "message" in await alice.rpc("message.send", **send, content={"type": "x" * 64})
    async with wire_client(app.websocket) as phone:
        limits = (await phone.connect(app.token("alice")))["data"]["limits"]
    told = {"content_bytes": 32768, "custom_bytes": 16384, "attachments": 20, "mentions": 50}
    for name, limit in {**told, "edits": 100, "pins": 100, "at_once": 100}.items():
        assert limits[name] == limit, name


# Whoever may not know


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
