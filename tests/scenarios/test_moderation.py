"""Banning and muting: who is out stays out for as long as said, who is muted reads on, and rank holds for both."""

import time

import pytest

from chat.vocabulary.types import END_OF_TIME
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


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


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def events(client: WireClient, conversation: str, kind: str) -> list[dict]:
    found = [pub["data"] for pub in client.publications(f"conv:{conversation}")]
    return [data for data in found if data["type"] == kind]


async def banned(client: WireClient, conversation: str) -> list[str]:
    page = await client.rpc("conversation.bans", conversation=conversation)
    return [ban["user"] for ban in page["bans"]]


async def test_a_ban_ends_a_membership_and_is_told_as_such(alice, bob):
    conversation = await group(alice, "bob")
    assert await alice.rpc("conversation.ban", conversation=conversation, user="bob") == {}
    await alice.until(lambda: events(alice, conversation, "member.left"))
    left = events(alice, conversation, "member.left")[0]
    assert (left["user"], left["by"], left["banned"]) == ("bob", "alice", True)
    await bob.until(lambda: any(push.get("unsubscribe") for push in bob.pushes))
    assert (await say(bob, conversation, "x"))["error"]["code"] == 103
    refused = await alice.rpc("conversation.add_members", conversation=conversation, members=["bob"])
    assert refused["error"]["message"] == "conflict: $.members: banned: bob"
    assert await banned(alice, conversation) == ["bob"]
    assert await alice.rpc("conversation.unban", conversation=conversation, user="bob") == {}
    assert await banned(alice, conversation) == []
    assert await alice.rpc("conversation.add_members", conversation=conversation, members=["bob"]) == {}
    assert "error" not in await say(bob, conversation, "back")


async def test_a_banned_user_does_not_come_into_a_channel_until_the_ban_ends(alice, bob):
    channel = (await alice.rpc("conversation.create", kind="channel"))["conversation"]["id"]
    until = now_ms() + 600
    assert await alice.rpc("conversation.ban", conversation=channel, user="bob", until=until) == {}
    refused = await bob.rpc("conversation.join", conversation=channel)
    assert refused["error"]["message"] == "permission_denied: $.conversation: banned here"
    assert (await alice.rpc("conversation.bans", conversation=channel))["bans"][0]["until"] == until

    async def joins() -> bool:
        return "error" not in await bob.rpc("conversation.join", conversation=channel)

    await eventually(joins)
    assert now_ms() >= until
    assert await banned(alice, channel) == []


async def test_a_stranger_is_kept_out_without_a_word_to_the_members(alice, bob):
    channel = (await alice.rpc("conversation.create", kind="channel"))["conversation"]["id"]
    assert await alice.rpc("conversation.ban", conversation=channel, user="bob") == {}
    assert "banned here" in (await bob.rpc("conversation.join", conversation=channel))["error"]["message"]
    got = await alice.rpc("conversation.get", conversation=channel)
    assert got["conversation"]["head"]["offset"] == 1
    assert got["conversation"]["members_count"] == 1


async def test_another_ban_takes_the_place_of_the_one_before(alice):
    conversation = await group(alice, "bob")
    later = now_ms() + 3_600_000
    for until in ({}, {"until": later}, {}):
        assert await alice.rpc("conversation.ban", conversation=conversation, user="bob", **until) == {}
        page = await alice.rpc("conversation.bans", conversation=conversation)
        assert page["bans"][0].get("until") == until.get("until")


async def test_bans_are_paged_by_user(alice):
    conversation = await group(alice)
    for user in ("u3", "u1", "u2"):
        await alice.rpc("conversation.ban", conversation=conversation, user=user)
    first = await alice.rpc("conversation.bans", conversation=conversation, limit=2)
    assert [ban["user"] for ban in first["bans"]] == ["u1", "u2"]
    rest = await alice.rpc("conversation.bans", conversation=conversation, limit=2, after=first["next"])
    assert [ban["user"] for ban in rest["bans"]] == ["u3"]
    assert "next" not in rest


async def test_nobody_bans_or_mutes_equals_the_last_owner_or_themselves(app, alice, bob):
    conversation = await group(alice, "bob", "carol", "dave")
    for user, role in (("bob", "moderator"), ("carol", "moderator"), ("dave", "admin")):
        await alice.rpc("conversation.set_role", conversation=conversation, user=user, role=role)
    for method in ("conversation.ban", "conversation.mute"):
        for user in ("alice", "carol", "dave"):
            refused = await bob.rpc(method, conversation=conversation, user=user)
            assert refused["error"]["message"].startswith("permission_denied: $.user: a moderator may not act on"), user
        refused = await bob.rpc(method, conversation=conversation, user="bob")
        assert refused["error"]["message"] == "bad_request: $.user: must be somebody else"
    assert (await bob.rpc("conversation.mute", conversation=conversation, user="nobody"))["error"]["code"] == 103


@pytest.mark.parametrize("method", ["conversation.ban", "conversation.mute"])
async def test_what_is_to_hold_until_a_time_needs_one_in_the_future(alice, method):
    conversation = await group(alice, "bob")
    for until in (0, 1, now_ms() - 1, END_OF_TIME + 1):
        refused = await alice.rpc(method, conversation=conversation, user="bob", until=until)
        assert refused["error"]["message"].startswith("bad_request: $.until: "), until
    assert await alice.rpc(method, conversation=conversation, user="bob", until=END_OF_TIME) == {}


async def test_a_muted_member_reads_and_does_not_write(app, alice, bob):
    conversation = await group(alice, "bob")
    until = now_ms() + 3_600_000
    assert await alice.rpc("conversation.mute", conversation=conversation, user="bob", until=until) == {}
    await bob.until(lambda: events(bob, conversation, "member.changed"))
    changed = events(bob, conversation, "member.changed")[0]
    assert (changed["user"], changed["role"], changed["muted_until"]) == ("bob", "member", until)
    refused = await say(bob, conversation, "x")
    assert refused["error"]["code"] == 103
    assert f"muted_until is {until}" in refused["error"]["message"]
    await say(alice, conversation, "read this")
    await bob.until(lambda: created(bob, conversation) == ["read this"])
    assert (await bob.rpc("conversation.get", conversation=conversation))["conversation"]["muted_until"] == until
    assert await alice.rpc("conversation.unmute", conversation=conversation, user="bob") == {}
    await bob.until(lambda: len(events(bob, conversation, "member.changed")) == 2)
    assert "muted_until" not in events(bob, conversation, "member.changed")[1]
    assert "error" not in await say(bob, conversation, "thanks")


async def test_a_mute_outlives_leaving_and_coming_back_and_a_change_of_role(alice, bob):
    conversation = await group(alice, "bob")
    await alice.rpc("conversation.mute", conversation=conversation, user="bob")
    await bob.rpc("conversation.leave", conversation=conversation)
    await alice.rpc("conversation.add_members", conversation=conversation, members=["bob"])
    assert (await say(bob, conversation, "x"))["error"]["code"] == 103
    promoted = await alice.rpc("conversation.set_role", conversation=conversation, user="bob", role="moderator")
    assert promoted == {}
    await alice.until(lambda: len(events(alice, conversation, "member.changed")) == 2)
    assert events(alice, conversation, "member.changed")[1]["muted_until"] == END_OF_TIME
    assert (await say(bob, conversation, "x"))["error"]["code"] == 103


async def test_a_mute_ends_by_itself(alice, bob):
    conversation = await group(alice, "bob")
    await alice.rpc("conversation.mute", conversation=conversation, user="bob", until=now_ms() + 400)
    assert (await say(bob, conversation, "x"))["error"]["code"] == 103

    async def sends() -> bool:
        return "error" not in await say(bob, conversation, "y")

    await eventually(sends)


async def test_muting_again_as_it_is_or_unmuting_who_is_not_changes_nothing(alice):
    conversation = await group(alice, "bob")
    await alice.rpc("conversation.unmute", conversation=conversation, user="bob")
    for _ in range(2):
        await alice.rpc("conversation.mute", conversation=conversation, user="bob")
    sent = await say(alice, conversation, "x")
    assert sent["message"]["offset"] == 3


async def test_a_mute_and_a_ban_hold_at_once_on_every_hub(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        await bob.until(lambda: any("subscribe" in push for push in bob.pushes))
        assert "error" not in await say(bob, conversation, "warm")
        await alice.rpc("conversation.mute", conversation=conversation, user="bob")
        assert (await say(bob, conversation, "x"))["error"]["code"] == 103
        await alice.rpc("conversation.unmute", conversation=conversation, user="bob")

        async def may_again() -> bool:
            return "error" not in await say(bob, conversation, "y")

        await eventually(may_again)  # that it is over, a hub may hear a moment later
        await alice.rpc("conversation.ban", conversation=conversation, user="bob")
        assert (await say(bob, conversation, "z"))["error"]["code"] == 103
        page = await alice.rpc("history.page", conversation=conversation)
        assert [item["text"] for item in page["items"]] == ["warm", "y"]


async def test_the_rest_twins(app, alice):
    conversation = await group(alice, "bob")
    base = f"/v1/conversations/{conversation}"
    until = now_ms() + 3_600_000
    async with app.rest("alice") as rest:
        assert (await rest.put(f"{base}/mutes/bob", json={"until": until})).status == 200
        members = (await (await rest.get(f"{base}/members")).json())["members"]
        assert [one.get("muted_until") for one in members] == [None, until]
        assert (await rest.delete(f"{base}/mutes/bob")).status == 200
        assert (await rest.put(f"{base}/bans/bob")).status == 200
        assert [ban["user"] for ban in (await (await rest.get(f"{base}/bans")).json())["bans"]] == ["bob"]
        assert (await rest.delete(f"{base}/bans/bob")).status == 200
        refused = await rest.put(f"{base}/bans/bob", json={"until": 1})
        assert refused.status == 400
        assert (await refused.json())["errors"] == [{"pointer": "/until", "detail": "must be in the future"}]
