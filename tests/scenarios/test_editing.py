"""Messages that are edited, over the socket and over HTTP, on one hub and on two."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from support.app import App
from support.changing import heard, refusal, said, signed_in
from support.talking import group, say
from support.wire_client import WireClient, wire_client


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "alice") as client:
        yield client


@pytest.fixture
async def bob(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "bob") as client:
        yield client


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
