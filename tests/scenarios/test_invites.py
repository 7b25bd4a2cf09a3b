"""Invites: a code lets in whom it is meant to, as often as it says, and tells nobody anything else."""

import asyncio
import re
import time
from collections import Counter

import pytest

from chat.vocabulary.invites import DEFAULT_EXPIRY_S, MAX_EXPIRY_S
from storage.mongo.client import connect
from storage.mongo.invites import MAX_INVITES
from support.talking import group
from support.waiting import eventually
from support.wire_client import wire_client

BAD = "permission_denied: $.code: no such invite, or it is no longer good"


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


async def invited(client, conversation: str, **fields) -> dict:
    return (await client.rpc("invite.create", conversation=conversation, **fields))["invite"]


async def test_whoever_has_the_code_sees_what_it_is_for_and_comes_in(alice, bob):
    conversation = await group(alice, title="Choir")
    invite = await invited(alice, conversation)
    assert re.fullmatch("[a-z2-7]{32}", invite["code"])
    assert invite["expires_at"] == invite["created_at"] + DEFAULT_EXPIRY_S * 1000
    preview = await bob.rpc("invite.get", code=invite["code"])
    assert preview == {"kind": "group", "title": "Choir", "avatar_url": "", "members_count": 1}
    accepted = await bob.rpc("invite.accept", code=invite["code"])
    assert accepted["conversation"]["id"] == conversation
    assert accepted["conversation"]["role"] == "member"
    await bob.until(lambda: any(push.get("channel") == f"conv:{conversation}" for push in bob.pushes))
    await alice.until(lambda: alice.offsets(f"conv:{conversation}")[-1:] == [2])
    joined = alice.publications(f"conv:{conversation}")[-1]["data"]
    assert (joined["type"], joined["by"], joined["members"]) == (
        "member.joined",
        "bob",
        [{"user": "bob", "role": "member"}],
    )


async def test_accepting_again_gives_the_conversation_and_counts_nothing(alice, bob):
    conversation = await group(alice)
    invite = await invited(alice, conversation, max_uses=1)
    for _ in range(3):
        assert (await bob.rpc("invite.accept", code=invite["code"]))["conversation"]["members_count"] == 2
    assert (await alice.rpc("invite.accept", code=invite["code"]))["conversation"]["role"] == "owner"


async def test_of_twenty_who_accept_at_once_on_two_hubs_one_comes_in_by_a_single_use(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice:
        await alice.connect(one.token("alice"))
        conversation = await group(alice)
        invite = await invited(alice, conversation, max_uses=1)

        async def accept(number: int) -> str:
            hub = (one, two)[number % 2]
            async with hub.rest(f"guest{number}") as rest:
                answer = await rest.post(f"/v1/invites/{invite['code']}/accept")
                return str(answer.status) if answer.status == 200 else f"{answer.status} {await answer.text()}"[:3]

        answers = Counter(await asyncio.gather(*(accept(number) for number in range(20))))
        assert answers == {"200": 1, "404": 19}
        assert (await alice.rpc("conversation.get", conversation=conversation))["conversation"]["members_count"] == 2
        assert (await alice.rpc("invite.list", conversation=conversation))["invites"] == []


async def test_codes_that_are_no_longer_good_are_all_answered_alike(config, app, alice, bob):
    conversation = await group(alice)
    used = await invited(alice, conversation, max_uses=1)
    async with app.rest("carol") as rest:
        await rest.post(f"/v1/invites/{used['code']}/accept")
    revoked = await invited(alice, conversation)
    assert await alice.rpc("invite.revoke", conversation=conversation, invite=revoked["id"]) == {}
    expired = await invited(alice, conversation, expires_in_s=1)
    await eventually(lambda: time.time() * 1000 > expired["expires_at"])
    for code in (used["code"], revoked["code"], expired["code"], "a" * 32, used["id"], "x"):
        for method in ("invite.get", "invite.accept"):
            assert (await bob.rpc(method, code=code))["error"]["message"] == BAD, (method, code)
    listed = await alice.rpc("invite.list", conversation=conversation)
    assert listed["invites"] == []


async def test_an_invite_is_good_only_while_who_made_it_could_make_it(app, alice, bob):
    conversation = await group(alice, "mo")
    await alice.rpc("conversation.set_role", conversation=conversation, user="mo", role="admin")
    async with wire_client(app.websocket) as mo:
        await mo.connect(app.token("mo"))
        invite = await invited(mo, conversation, role="moderator")
    assert (await bob.rpc("invite.get", code=invite["code"]))["members_count"] == 2
    await alice.rpc("conversation.set_role", conversation=conversation, user="mo", role="moderator")
    assert (await bob.rpc("invite.accept", code=invite["code"]))["error"]["message"] == BAD
    await alice.rpc("conversation.remove_member", conversation=conversation, user="mo")
    for method in ("invite.get", "invite.accept"):
        assert (await bob.rpc(method, code=invite["code"]))["error"]["message"] == BAD
    await alice.rpc("conversation.add_members", conversation=conversation, members=["mo"], role="admin")
    assert (await bob.rpc("invite.accept", code=invite["code"]))["conversation"]["role"] == "moderator"


async def test_nobody_invites_to_a_role_that_is_not_below_their_own(app, alice):
    conversation = await group(alice, "mo")
    await alice.rpc("conversation.set_role", conversation=conversation, user="mo", role="moderator")
    async with wire_client(app.websocket) as mo:
        await mo.connect(app.token("mo"))
        for role in ("moderator", "admin"):
            refused = await mo.rpc("invite.create", conversation=conversation, role=role)
            assert refused["error"]["message"].startswith("permission_denied: $.role: "), role
        assert (await invited(mo, conversation, role="reader"))["role"] == "reader"
        assert (await mo.rpc("invite.create", conversation=conversation, role="owner"))["error"]["code"] == 107


async def test_who_is_banned_stays_out(alice, bob):
    conversation = await group(alice)
    invite = await invited(alice, conversation)
    await alice.rpc("conversation.ban", conversation=conversation, user="bob")
    refused = await bob.rpc("invite.accept", code=invite["code"])
    assert refused["error"]["message"] == "permission_denied: $.conversation: banned here"
    assert (await alice.rpc("invite.list", conversation=conversation))["invites"][0]["uses"] == 0


async def test_into_a_channel_one_comes_as_a_reader_and_into_a_direct_conversation_not_at_all(alice, bob):
    channel = (await alice.rpc("conversation.create", kind="channel"))["conversation"]["id"]
    invite = await invited(alice, channel)
    assert (await bob.rpc("invite.accept", code=invite["code"]))["conversation"]["role"] == "reader"
    direct = (await alice.rpc("conversation.create", kind="direct", members=["bob"]))["conversation"]["id"]
    assert (await alice.rpc("invite.create", conversation=direct))["error"]["code"] == 103


async def test_codes_are_told_once_and_not_kept(config, alice):
    conversation = await group(alice)
    invite = await invited(alice, conversation)
    listed = (await alice.rpc("invite.list", conversation=conversation))["invites"]
    assert [{**one, "code": invite["code"]} for one in listed] == [invite]
    async with connect(config.mongodb.url.reveal(), config.mongodb.database) as database:
        rows = await database["invites"].find({}).to_list(None)
    assert len(rows) == 1
    assert invite["code"] not in str(rows)


async def test_an_invite_of_another_conversation_is_not_to_be_revoked(alice):
    here, there = await group(alice), await group(alice)
    invite = await invited(alice, here)
    assert await alice.rpc("invite.revoke", conversation=there, invite=invite["id"]) == {}
    assert len((await alice.rpc("invite.list", conversation=here))["invites"]) == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"expires_in_s": -1}, "expires_in_s"),
        ({"expires_in_s": MAX_EXPIRY_S + 1}, "expires_in_s"),
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": 1_000_001}, "max_uses"),
    ],
)
async def test_what_is_out_of_bounds_is_named(alice, fields, field):
    conversation = await group(alice)
    refused = await alice.rpc("invite.create", conversation=conversation, **fields)
    assert refused["error"]["message"].startswith(f"bad_request: $.{field}: ")
    invite = await invited(alice, conversation, expires_in_s=MAX_EXPIRY_S, max_uses=1_000_000)
    assert invite["max_uses"] == 1_000_000
    assert "expires_at" not in await invited(alice, conversation, expires_in_s=0)


async def test_there_are_as_many_as_there_may_be_and_bad_ones_make_room(alice):
    conversation = await group(alice)
    short = await invited(alice, conversation, expires_in_s=1)
    for _ in range(MAX_INVITES - 1):
        await invited(alice, conversation)
    await eventually(lambda: time.time() * 1000 > short["expires_at"])
    assert "error" not in await alice.rpc("invite.create", conversation=conversation)
    refused = await alice.rpc("invite.create", conversation=conversation)
    assert refused["error"]["code"] == 106
    listed = await alice.rpc("invite.list", conversation=conversation)
    assert len(listed["invites"]) == MAX_INVITES


async def test_the_rest_twins(app):
    async with app.rest("alice") as alice, app.rest("bob") as bob:
        made = await (await alice.post("/v1/conversations", json={"kind": "group", "title": "Choir"})).json()
        base = f"/v1/conversations/{made['conversation']['id']}/invites"
        answer = await alice.post(base, json={"max_uses": 2})
        assert answer.status == 201
        invite = (await answer.json())["invite"]
        assert (await (await bob.get(f"/v1/invites/{invite['code']}")).json())["title"] == "Choir"
        assert (await bob.post(f"/v1/invites/{invite['code']}/accept")).status == 200
        assert [one["uses"] for one in (await (await alice.get(base)).json())["invites"]] == [1]
        assert (await bob.get(base)).status == 403
        assert (await alice.delete(f"{base}/{invite['id']}")).status == 200
        assert (await bob.get(f"/v1/invites/{invite['code']}")).status == 404
