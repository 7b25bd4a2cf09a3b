"""Who is in and who is out, and who may say so."""

import asyncio

import msgspec
import pytest

from chat.methods import METHODS
from chat.usecases.membership import STEP
from support.app import serve_app, test_config
from support.fail_points import failing
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


async def roles(client: WireClient, conversation: str) -> dict[str, str]:
    page = await client.rpc("conversation.members", conversation=conversation)
    return {member["user"]: member["role"] for member in page["members"]}


def unsubscribed(client: WireClient, conversation: str) -> int:
    """How often the client was told that it no longer has the conversation."""
    return sum(push.get("channel") == f"conv:{conversation}" and "unsubscribe" in push for push in client.pushes)


async def test_replaying_that_somebody_left_does_not_put_out_who_came_back(app, alice, bob):
    conversation = await group(alice, "bob")
    assert await bob.rpc("conversation.leave", conversation=conversation) == {}
    await bob.until(lambda: unsubscribed(bob, conversation) == 1)
    await alice.rpc("conversation.add_members", conversation=conversation, members=["bob"])
    await bob.until(lambda: bob.offsets(f"conv:{conversation}")[-1:] == [3])
    async with wire_client(app.websocket) as tablet:
        subs = {f"conv:{conversation}": {"recover": True, "epoch": "", "offset": 0}}
        await tablet.connect(app.token("alice"), subs=subs)
        await tablet.until(lambda: tablet.offsets(f"conv:{conversation}") == [1, 2, 3])
    await say(alice, conversation, "welcome back")
    await bob.until(lambda: created(bob, conversation) == ["welcome back"])
    assert unsubscribed(bob, conversation) == 1


async def test_the_last_owner_stays_until_somebody_else_is_owner(alice, bob):
    conversation = await group(alice, "bob")
    for method, fields in (
        ("conversation.leave", {}),
        ("conversation.set_role", {"user": "alice", "role": "member"}),
        ("conversation.remove_member", {"user": "alice"}),
    ):
        refused = await alice.rpc(method, conversation=conversation, **fields)
        assert refused["error"]["code"] == 113, method
    assert await roles(alice, conversation) == {"alice": "owner", "bob": "member"}
    await alice.rpc("conversation.set_role", conversation=conversation, user="bob", role="owner")
    assert await alice.rpc("conversation.leave", conversation=conversation) == {}
    assert await roles(bob, conversation) == {"bob": "owner"}


async def test_whoever_is_alone_may_leave(alice):
    conversation = await group(alice)
    assert await alice.rpc("conversation.leave", conversation=conversation) == {}
    listed = await alice.rpc("conversation.list")
    assert listed["conversations"] == []


async def test_nobody_acts_on_equals_or_makes_somebody_their_equal(app, alice, bob):
    conversation = await group(alice, "bob", "carol", "dave")
    for user, role in (("bob", "moderator"), ("carol", "admin"), ("dave", "moderator")):
        await alice.rpc("conversation.set_role", conversation=conversation, user=user, role=role)
    for method, fields in (
        ("conversation.remove_member", {"user": "alice"}),
        ("conversation.remove_member", {"user": "carol"}),
        ("conversation.remove_member", {"user": "dave"}),
        ("conversation.set_role", {"user": "dave", "role": "reader"}),
        ("conversation.set_role", {"user": "bob", "role": "owner"}),
        ("conversation.add_members", {"members": ["erin"], "role": "moderator"}),
        ("conversation.add_members", {"members": ["erin"], "role": "admin"}),
        ("conversation.update", {"title": "mine"}),
    ):
        refused = await bob.rpc(method, conversation=conversation, **fields)
        assert refused["error"]["code"] == 103, (method, fields)
    assert await bob.rpc("conversation.add_members", conversation=conversation, members=["erin"]) == {}
    assert await bob.rpc("conversation.remove_member", conversation=conversation, user="erin") == {}


async def test_a_direct_conversation_stays_as_it_is(alice, bob):
    made = await alice.rpc("conversation.create", kind="direct", members=["bob"])
    conversation = made["conversation"]["id"]
    for method, fields in (
        ("conversation.leave", {}),
        ("conversation.update", {"title": "x"}),
        ("conversation.add_members", {"members": ["carol"]}),
        ("conversation.remove_member", {"user": "bob"}),
        ("conversation.set_role", {"user": "bob", "role": "reader"}),
    ):
        refused = await alice.rpc(method, conversation=conversation, **fields)
        assert refused["error"]["code"] == 103, method
    joined = await bob.rpc("conversation.join", conversation=conversation)
    assert joined["conversation"]["id"] == conversation


async def test_coming_again_or_adding_who_is_there_changes_nothing(alice, bob):
    made = await alice.rpc("conversation.create", kind="channel")
    channel = made["conversation"]["id"]
    first = await bob.rpc("conversation.join", conversation=channel)
    again = await bob.rpc("conversation.join", conversation=channel)
    assert first["conversation"]["members_count"] == again["conversation"]["members_count"] == 2
    await alice.rpc("conversation.set_role", conversation=channel, user="bob", role="moderator")
    assert await alice.rpc("conversation.add_members", conversation=channel, members=["bob", "alice"]) == {}
    assert await roles(alice, channel) == {"alice": "owner", "bob": "moderator"}
    await say(alice, channel, "done")
    await bob.until(lambda: created(bob, channel) == ["done"])
    assert bob.offsets(f"conv:{channel}") == [2, 3, 4]  # joined, moderator, message


async def test_a_member_who_left_sees_and_does_nothing_more(alice, bob):
    conversation = await group(alice, "bob")
    sent = await say(alice, conversation, "secret")
    await bob.rpc("conversation.leave", conversation=conversation)
    for method, fields in (
        ("conversation.get", {}),
        ("conversation.update", {"title": "x"}),
        ("conversation.members", {}),
        ("conversation.join", {}),
        ("conversation.leave", {}),
        ("conversation.add_members", {"members": ["bob"]}),
        ("message.get", {"offset": sent["message"]["offset"]}),
        ("message.send", {"idempotency_key": "k", "text": "x"}),
        ("history.page", {}),
        ("read.mark", {"offset": 1}),
        ("typing.start", {}),
    ):
        refused = await bob.rpc(method, conversation=conversation, **fields)
        assert refused["error"]["code"] == 103, method
    assert (await bob.call(subscribe={"channel": f"conv:{conversation}"}))["error"]["code"] == 103
    publish = {"channel": f"conv:{conversation}", "data": {"idempotency_key": "k2", "text": "x"}}
    assert (await bob.call(publish=publish))["error"]["code"] == 103
    page = await alice.rpc("history.page", conversation=conversation)
    assert [message["text"] for message in page["items"]] == ["secret"]


@pytest.mark.parametrize(
    "channel", ["user:bob", "user:", "user:alice ", "conv:", "conv:nope", "conv:" + "a" * 26 + "~1"]
)
async def test_channels_of_others_are_refused(alice, bob, channel):
    assert (await alice.call(subscribe={"channel": channel}))["error"]["code"] in (103, 107)
    publish = {"channel": channel, "data": {"idempotency_key": "k", "text": "x"}}
    assert (await alice.call(publish=publish))["error"]["code"] in (103, 107)
    for command in ("presence", "presence_stats", "history"):
        assert (await alice.call(**{command: {"channel": channel}}))["error"]["code"] in (103, 107, 108), command


async def test_ones_own_user_channel_is_not_to_be_published_to(alice):
    assert (await alice.call(publish={"channel": "user:alice", "data": {}}))["error"]["code"] == 103


async def test_members_are_changed_on_a_hub_that_has_not_written_there_before(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as tablet:
        await alice.connect(one.token("alice"))
        await tablet.connect(two.token("alice"))
        for method, fields in (
            ("conversation.update", {"title": "New"}),
            ("conversation.add_members", {"members": ["carol"]}),
            ("conversation.set_role", {"user": "bob", "role": "admin"}),
            ("conversation.remove_member", {"user": "bob"}),
        ):
            conversation = await group(alice, "bob")
            await say(alice, conversation, "one")
            answer = await tablet.rpc(method, conversation=conversation, **fields)
            assert "error" not in answer, (method, answer)


async def test_very_many_are_added_in_steps_and_a_repeat_brings_the_rest(alice):
    conversation = await group(alice)
    names = [f"user{number:04}" for number in range(2 * STEP + 1)]
    await alice.rpc("conversation.ban", conversation=conversation, user=names[-1])
    refused = await alice.rpc("conversation.add_members", conversation=conversation, members=names)
    assert refused["error"]["message"] == f"conflict: $.members: banned: {names[-1]}"
    assert len(await roles(alice, conversation)) == 1
    await alice.rpc("conversation.unban", conversation=conversation, user=names[-1])
    for members, last in ((names[:10], 2), (names, 5), (names, 5)):
        assert await alice.rpc("conversation.add_members", conversation=conversation, members=members) == {}
        sent = await alice.rpc("conversation.get", conversation=conversation)
        assert sent["conversation"]["members_count"] == len(members) + 1
        await alice.until(lambda last=last: alice.offsets(f"conv:{conversation}")[-1:] == [last])
    told = [pub["data"] for pub in alice.publications(f"conv:{conversation}")]
    joined = [len(data["members"]) for data in told if data["type"] == "member.joined"]
    assert joined == [1, 10, STEP - 10, STEP, 1]


async def test_whoever_is_removed_is_put_out_though_nobody_waits_for_it_any_more(
    mongodb_url, database_name, redis_url, redis_prefix
):
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix)
    async with (
        serve_app(config) as app,
        wire_client(app.websocket) as alice,
        wire_client(app.websocket) as bob,
    ):
        await alice.connect(app.token("alice"))
        await bob.connect(app.token("bob"))
        conversation = await group(alice, "bob")
        channel = f"conv:{conversation}"
        await bob.until(lambda: bob.offsets(channel) == [1])
        method = METHODS["conversation.remove_member"]
        request = msgspec.convert({"conversation": conversation, "user": "bob"}, method.request)
        slow = {"blockConnection": True, "blockTimeMS": 500}
        async with failing(mongodb_url, "hubbub", ["commitTransaction"], times=1, **slow):
            removing = asyncio.create_task(app.running.process.calls.run("alice", method, request))
            await eventually(lambda: app.running.process.store.appender._lanes.queued or removing.done())
            removing.cancel()
            await bob.until(lambda: any("unsubscribe" in push for push in bob.pushes if push["channel"] == channel))
        assert removing.cancelled()
