"""Who has received and read what: positions, marks of unread, receipts of others, privacy."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from chat.vocabulary.reading import DeliveredMark
from support.app import serve_app, test_config
from support.talking import group, say
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


@pytest.fixture
async def small(mongodb_url, database_name, redis_url, redis_prefix):
    """A hub where receipts are shown among three."""
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, limits__receipts_members=3)
    async with serve_app(config) as app:
        yield app


def events(client: WireClient, channel: str, kind: str) -> list[Any]:
    return [pub["data"] for pub in client.publications(channel) if pub["data"]["type"] == kind]


async def told(client: WireClient, channel: str, kind: str, count: int = 1) -> list[Any]:
    """Wait for so many events of a kind; returns them all."""
    await client.until(lambda: len(events(client, channel, kind)) >= count)
    return events(client, channel, kind)


def refusal(answer: Any) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["message"]


async def test_reading_on_one_device_updates_the_others_at_once_on_another_hub(apps):
    one, two = apps
    async with AsyncExitStack() as stack:
        alice, phone, tablet = [await stack.enter_async_context(wire_client(app.websocket)) for app in (one, one, two)]
        await alice.connect(one.token("alice"))
        await phone.connect(one.token("bob"))
        await tablet.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        for text in "abc":
            await say(alice, conversation, text)
        since = await tablet.rpc("sync")
        marked = await phone.rpc("read.mark", conversation=conversation, offset=3)
        assert marked == {"read": {"offset": 3, "n": 2}, "unread": 1}
        for device in (phone, tablet):
            (unread,) = await told(device, "user:bob", "unread")
            assert unread == {
                "type": "unread",
                "conversation": conversation,
                "read": {"offset": 3, "n": 2},
                "unread": 1,
                "mentions": 0,
                "unread_from": None,
            }
        (read,) = await told(alice, f"conv:{conversation}", "read")
        assert (read["by"], read["read"]) == ("bob", {"offset": 3, "n": 2})
        news = await tablet.rpc("sync", epoch=since["epoch"], revision=since["revision"], cursors={conversation: 9})
        assert [one["conversation"]["read"] for one in news["conversations"]] == [{"offset": 3, "n": 2}]


async def test_a_burst_of_marks_is_two_writes_and_everybody_is_answered(app, alice, bob):
    conversation = await group(alice, "bob")
    for number in range(20):
        await say(alice, conversation, str(number))
    stats = app.running.process.store.stats
    before = stats.reads_moved
    first = await bob.rpc("read.mark", conversation=conversation, offset=2)
    assert first["read"]["offset"] == 2
    rest = await asyncio.gather(
        *(bob.rpc("read.mark", conversation=conversation, offset=offset) for offset in range(3, 21)),
        *(bob.rpc("delivered.mark", conversation=conversation, offset=offset) for offset in range(3, 22)),
    )
    assert [answer["read"]["offset"] for answer in rest[:18]] == [20] * 18
    assert [answer["delivered"]["offset"] for answer in rest[18:]] == [21] * 19
    assert stats.reads_moved - before == 2
    assert len(await told(alice, f"conv:{conversation}", "delivered")) == 1
    assert [one["read"]["offset"] for one in events(alice, f"conv:{conversation}", "read")] == [2, 20]
    assert len(events(bob, "user:bob", "unread")) == 2


async def test_a_mark_that_waits_keeps_nothing_else_from_being_answered(alice, bob):
    conversation = await group(alice, "bob")
    await say(alice, conversation, "a")
    await bob.rpc("read.mark", conversation=conversation, offset=1)
    waiting = await bob.send(rpc={"method": "read.mark", "data": {"conversation": conversation, "offset": 2}})
    await bob.rpc("user.get", user="bob")
    assert waiting not in bob.replies
    await bob.until(lambda: waiting in bob.replies)


async def test_marks_that_wait_are_written_when_the_process_ends(config):
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        for text in "abc":
            await say(alice, conversation, text)
        service = app.running.process.calls.service
        await (await service.reading.mark_delivered("alice", DeliveredMark(conversation, 1)))
        late = await service.reading.mark_delivered("alice", DeliveredMark(conversation, 4))
        assert not late.done()
    assert late.result().delivered.offset == 4
    async with serve_app(config) as app:
        member = await app.running.process.store.members.get(conversation, "alice")
        assert member is not None
        assert member.delivered.offset == 4


async def test_delivery_is_told_is_never_behind_reading_and_never_goes_back(alice, bob):
    conversation = await group(alice, "bob")
    for text in "abc":
        await say(alice, conversation, text)
    answers = [await bob.rpc("delivered.mark", conversation=conversation, offset=offset) for offset in (3, 2)]
    assert [answer["delivered"]["offset"] for answer in answers] == [3, 3]
    (delivered,) = await told(alice, f"conv:{conversation}", "delivered")
    assert (delivered["by"], delivered["delivered"]) == ("bob", {"offset": 3, "n": 2})
    await bob.rpc("read.mark", conversation=conversation, offset=4)
    late = await bob.rpc("delivered.mark", conversation=conversation, offset=1)
    assert late["delivered"] == {"offset": 4, "n": 3}
    members = (await alice.rpc("conversation.members", conversation=conversation))["members"]
    assert [one["delivered"]["offset"] for one in members if one["user"] == "bob"] == [4]


async def test_a_conversation_marked_as_unread_is_so_everywhere_until_it_is_read(app, alice, bob):
    conversation = await group(alice, "bob")
    for text in "abc":
        await say(alice, conversation, text)
    await bob.rpc("read.mark", conversation=conversation, offset=4)
    since = await bob.rpc("sync")
    async with wire_client(app.websocket) as tablet:
        await tablet.connect(app.token("bob"))
        marked = await bob.rpc("read.mark_unread", conversation=conversation, offset=3)
        assert marked == {"read": {"offset": 4, "n": 3}, "unread": 0, "unread_from": 3}
        (unread,) = await told(tablet, "user:bob", "unread")
        assert (unread["unread_from"], unread["unread"]) == (3, 0)
        news = await tablet.rpc("sync", epoch=since["epoch"], revision=since["revision"], cursors={conversation: 9})
        assert [one["conversation"]["unread_from"] for one in news["conversations"]] == [3]
        assert not events(alice, f"conv:{conversation}", "unread")
        assert (await bob.rpc("read.totals"))["conversations"] == 1
        page = await bob.rpc("history.page", **{"conversation": conversation, "from": "first_unread"})
        assert [one["offset"] for one in page["items"]] == [3, 4]
        assert "unread_from" in await bob.rpc("read.mark", conversation=conversation, offset=2)
        assert "unread_from" not in await bob.rpc("read.mark", conversation=conversation, offset=3)
        page = await bob.rpc("history.page", **{"conversation": conversation, "from": "first_unread"})
        assert page["items"] == []
        last = (await told(tablet, "user:bob", "unread", 2))[-1]
        assert last["unread_from"] is None
    found = (await bob.rpc("conversation.get", conversation=conversation))["conversation"]
    assert "unread_from" not in found


async def test_nothing_is_marked_as_unread_beyond_the_end(alice):
    conversation = await group(alice)
    await say(alice, conversation, "a")
    assert (await alice.rpc("read.mark_unread", conversation=conversation, offset=2))["unread_from"] == 2
    code, message = refusal(await alice.rpc("read.mark_unread", conversation=conversation, offset=3))
    assert (code, message) == (107, "bad_request: $.offset: is beyond the last entry, 2")


async def test_who_has_seen_a_message(alice, bob, app):
    async with wire_client(app.websocket) as carol:
        await carol.connect(app.token("carol"))
        conversation = await group(alice, "bob", "carol", "dave")
        offset = (await say(alice, conversation, "a"))["message"]["offset"]
        asked = {"conversation": conversation, "offset": offset}
        assert await alice.rpc("message.seen_by", **asked) == {"members": []}
        await bob.rpc("read.mark", **asked)
        await carol.rpc("delivered.mark", **asked)
        seen = [{"user": "bob", "read": True}, {"user": "carol", "read": False}]
        assert await alice.rpc("message.seen_by", **asked) == {"members": seen}
        assert (await bob.rpc("message.seen_by", **asked))["members"] == seen
        pages = [await alice.rpc("message.seen_by", **asked, limit=2)]
        while "next" in pages[-1]:
            pages.append(await alice.rpc("message.seen_by", **asked, limit=2, after=pages[-1]["next"]))
        assert [one for page in pages for one in page["members"]] == seen
        await alice.rpc("conversation.add_members", conversation=conversation, members=["erin"])
        # Who came later has not seen it, however far they are by coming.
        assert (await alice.rpc("message.seen_by", **asked))["members"] == seen
        for wrong in (1, 99):
            assert refusal(await alice.rpc("message.seen_by", conversation=conversation, offset=wrong))[0] == 103


async def test_receipts_are_shown_up_to_a_size_and_not_beyond(small):
    async with wire_client(small.websocket) as alice, wire_client(small.websocket) as bob:
        connected = await alice.connect(small.token("alice"))
        assert connected["data"]["limits"]["receipts_members"] == 3
        await bob.connect(small.token("bob"))
        for members, shown in ((["bob", "carol"], True), (["bob", "carol", "dave"], False)):
            conversation = await group(alice, *members)
            offset = (await say(alice, conversation, "a"))["message"]["offset"]
            await bob.rpc("read.mark", conversation=conversation, offset=offset)
            await told(bob, "user:bob", "unread", 1 if shown else 2)
            seen = await alice.rpc("message.seen_by", conversation=conversation, offset=offset)
            listed = (await alice.rpc("conversation.members", conversation=conversation))["members"]
            with_positions = {one["user"] for one in listed if "read" in one}
            if shown:
                assert seen["members"] == [{"user": "bob", "read": True}]
                assert with_positions == {"alice", *members}
                await told(alice, f"conv:{conversation}", "read")
            else:
                code, message = refusal(seen)
                assert (code, "of at most 3 members" in message) == (106, True)
                assert with_positions == {"alice"}
                assert not any("delivered" in one for one in listed if one["user"] != "alice")
                await say(bob, conversation, "b")
                await told(alice, f"conv:{conversation}", "message.created", 2)
                assert not events(alice, f"conv:{conversation}", "read")


async def test_a_conversation_that_grows_beyond_the_size_shows_none_any_more(small):
    async with wire_client(small.websocket) as alice:
        await alice.connect(small.token("alice"))
        conversation = await group(alice, "bob", "carol")
        asked = {"conversation": conversation, "offset": (await say(alice, conversation, "a"))["message"]["offset"]}
        assert "members" in await alice.rpc("message.seen_by", **asked)
        await alice.rpc("conversation.add_members", conversation=conversation, members=["dave"])
        assert refusal(await alice.rpc("message.seen_by", **asked))[0] == 106


async def test_who_does_not_show_receipts_is_not_seen_and_does_not_see(app, alice, bob):
    changed = await bob.rpc("user.update", privacy={"receipts": False})
    assert changed["user"]["privacy"] == {"receipts": False, "presence": True}
    assert (await bob.rpc("user.get", user="bob"))["user"]["privacy"] == {"receipts": False, "presence": True}
    assert "privacy" not in (await alice.rpc("user.get", user="bob"))["user"]
    conversation = await group(alice, "bob", "carol")
    offset = (await say(alice, conversation, "a"))["message"]["offset"]
    asked = {"conversation": conversation, "offset": offset}
    await bob.rpc("read.mark", **asked)
    assert (await alice.rpc("message.seen_by", **asked))["members"] == []
    listed = {
        one["user"]: one for one in (await alice.rpc("conversation.members", conversation=conversation))["members"]
    }
    assert ("read" in listed["bob"], "read" in listed["carol"]) == (False, True)
    listed = {one["user"]: one for one in (await bob.rpc("conversation.members", conversation=conversation))["members"]}
    assert {name for name, one in listed.items() if "read" in one} == {"bob"}
    assert refusal(await bob.rpc("message.seen_by", **asked))[0] == 103
    # Other settings stay as they are, and it can be taken back.
    assert (await bob.rpc("user.update", privacy={"presence": False}))["user"]["privacy"] == {
        "receipts": False,
        "presence": False,
    }
    await bob.rpc("user.update", privacy={"receipts": True})
    assert (await alice.rpc("message.seen_by", **asked))["members"] == [{"user": "bob", "read": True}]
    await say(alice, conversation, "b")
    await told(alice, f"conv:{conversation}", "message.created", 2)
    assert not events(alice, f"conv:{conversation}", "read")


async def test_in_a_direct_conversation_nobody_is_told_where_one_does_not_show_theirs(alice, bob):
    created = await alice.rpc("conversation.create", kind="direct", members=["bob"])
    conversation = created["conversation"]["id"]
    first = (await say(alice, conversation, "a"))["message"]["offset"]
    await bob.rpc("read.mark", conversation=conversation, offset=first)
    await told(alice, f"conv:{conversation}", "read")
    await alice.rpc("user.update", privacy={"receipts": False})
    second = (await say(alice, conversation, "b"))["message"]["offset"]
    await bob.rpc("read.mark", conversation=conversation, offset=second)
    third = (await say(bob, conversation, "c"))["message"]["offset"]
    await alice.rpc("read.mark", conversation=conversation, offset=third)
    await say(bob, conversation, "d")
    for client in (alice, bob):
        await told(client, f"conv:{conversation}", "message.created", 4)
        assert len(events(client, f"conv:{conversation}", "read")) == 1


async def test_between_two_of_whom_one_blocks_the_other_nothing_is_shown(alice, bob):
    created = await alice.rpc("conversation.create", kind="direct", members=["bob"])
    conversation = created["conversation"]["id"]
    asked = {"conversation": conversation, "offset": (await say(alice, conversation, "a"))["message"]["offset"]}
    await bob.rpc("user.block", user="alice")
    await bob.rpc("read.mark", **asked)
    for client, other in ((alice, "bob"), (bob, "alice")):
        assert refusal(await client.rpc("message.seen_by", **asked))[0] == 103
        listed = (await client.rpc("conversation.members", conversation=conversation))["members"]
        assert ["read" in one for one in listed if one["user"] == other] == [False]
    await bob.rpc("user.unblock", user="alice")
    assert (await alice.rpc("message.seen_by", **asked))["members"] == [{"user": "bob", "read": True}]
    assert not events(alice, f"conv:{conversation}", "read")


async def test_a_stranger_is_refused_everything_alike(alice, bob):
    conversation = await group(alice)
    offset = (await say(alice, conversation, "a"))["message"]["offset"]
    for method in ("read.mark", "read.mark_unread", "delivered.mark", "message.seen_by"):
        foreign = refusal(await bob.rpc(method, conversation=conversation, offset=offset))
        missing = refusal(await bob.rpc(method, conversation="z" * 26, offset=offset))
        assert foreign == missing
        assert foreign[0] == 103


async def test_a_thread_is_read_by_who_follows_it(alice, bob):
    conversation = await group(alice, "bob", "carol")
    root = (await say(alice, conversation, "root"))["message"]["offset"]
    thread = f"{conversation}~{root}"
    offset = (await say(bob, thread, "reply"))["message"]["offset"]
    marked = await alice.rpc("read.mark", conversation=thread, offset=offset)
    assert marked == {"read": {"offset": offset, "n": 1}, "unread": 0}
    seen = await bob.rpc("message.seen_by", conversation=thread, offset=offset)
    assert seen["members"] == [{"user": "alice", "read": True}]
    # Who has left the conversation is not there any more, though the thread was followed.
    await alice.rpc("conversation.set_role", conversation=conversation, user="bob", role="owner")
    await alice.rpc("conversation.leave", conversation=conversation)
    assert (await bob.rpc("message.seen_by", conversation=thread, offset=offset))["members"] == []


async def test_who_does_not_follow_a_thread_is_told_to(app, alice, bob):
    conversation = await group(alice, "bob", "carol")
    thread = f"{conversation}~{(await say(alice, conversation, 'root'))['message']['offset']}"
    await say(bob, thread, "reply")
    async with wire_client(app.websocket) as carol:
        await carol.connect(app.token("carol"))
        code, message = refusal(await carol.rpc("read.mark", conversation=thread, offset=1))
        assert (code, message) == (103, "permission_denied: $.conversation: follow the thread first")
        assert (await carol.rpc("delivered.mark", conversation=thread, offset=1))["error"]["code"] == 103


async def test_over_rest(app, alice):
    conversation = await group(alice, "bob")
    offset = (await say(alice, conversation, "a"))["message"]["offset"]
    path = f"/v1/conversations/{conversation}"
    async with app.rest("bob") as bob, app.rest("alice") as other:
        answer = await bob.put(f"{path}/delivered", json={"offset": offset})
        assert (answer.status, await answer.json()) == (200, {"delivered": {"offset": offset, "n": 1}})
        answer = await bob.put(f"{path}/read", json={"offset": offset})
        assert await answer.json() == {"read": {"offset": offset, "n": 1}, "unread": 0}
        answer = await bob.put(f"{path}/unread", json={"offset": offset})
        assert (await answer.json())["unread_from"] == offset
        answer = await other.get(f"{path}/messages/{offset}/seen_by")
        assert await answer.json() == {"members": [{"user": "bob", "read": True}]}
        answer = await bob.get("/v1/me/unread")
        assert (await answer.json())["conversations"] == 1
        answer = await bob.patch("/v1/me", json={"privacy": {"receipts": False}})
        assert (await answer.json())["user"]["privacy"] == {"receipts": False, "presence": True}
        answer = await bob.get("/v1/me")
        assert (await answer.json())["user"]["privacy"] == {"receipts": False, "presence": True}
        answer = await bob.get(f"{path}/messages/{offset}/seen_by")
        assert (answer.status, (await answer.json())["code"]) == (403, "permission_denied")
        answer = await bob.put(f"{path}/unread", json={"offset": 99})
        problem = await answer.json()
        assert (answer.status, problem["errors"][0]["pointer"]) == (400, "/offset")


async def test_sending_moves_ones_own_position(app, alice, bob):
    conversation = await group(alice, "bob")
    await say(alice, conversation, "a")
    offset = (await say(bob, conversation, "b"))["message"]["offset"]

    async def read() -> bool:
        found = (await bob.rpc("conversation.get", conversation=conversation))["conversation"]
        return found["read"]["offset"] == offset and found["unread"] == 0

    await eventually(read)
