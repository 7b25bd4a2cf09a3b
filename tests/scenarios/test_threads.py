"""Threads: a conversation below a message, with the members of the one that it belongs to."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

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


async def root(client: WireClient, *members: str) -> tuple[str, int, str]:
    """A group with a message of its maker: conversation, offset, and the thread below it."""
    conversation = await group(client, *members)
    said = await say(client, conversation, "root")
    offset = said["message"]["offset"]
    return conversation, offset, f"{conversation}~{offset}"


def personal(client: WireClient, user: str, kind: str) -> list[dict]:
    return [pub["data"] for pub in client.publications(f"user:{user}") if pub["data"]["type"] == kind]


def changes(client: WireClient, conversation: str) -> list[dict]:
    return [
        pub["data"] for pub in client.publications(f"conv:{conversation}") if pub["data"]["type"] == "thread.changed"
    ]


def subscribed(client: WireClient, thread: str) -> list[dict]:
    return [
        push["subscribe"] for push in client.pushes if push.get("channel") == f"conv:{thread}" and "subscribe" in push
    ]


async def follows(client: WireClient, unread: dict[str, int]) -> None:
    """Wait until the client's list has these threads, with so much unread. It trails what is said by a second."""

    async def listed() -> bool:
        found = (await client.rpc("thread.list"))["threads"]
        return {thread["id"]: thread["unread"] for thread in found} == unread

    await eventually(listed)


async def test_the_first_reply_makes_the_thread_and_the_two_follow_it(app, alice, bob):
    conversation, offset, thread = await root(alice, "bob", "carol")
    answer = await say(bob, thread, "first")
    assert (answer["message"]["conversation"], answer["message"]["offset"], answer["duplicate"]) == (thread, 1, False)
    for client, user in ((alice, "alice"), (bob, "bob")):
        await client.until(lambda client=client: created(client, thread) == ["first"])
        assert [event["conversation"] for event in personal(client, user, "thread.followed")] == [thread]
    assert subscribed(alice, thread)[0]["data"] == {"head": {"offset": 0, "n": 0}, "read": {"offset": 0, "n": 0}}
    assert subscribed(bob, thread)[0]["data"]["read"] == {"offset": 1, "n": 1}
    await follows(alice, {thread: 1})
    await follows(bob, {thread: 0})
    await alice.until(lambda: changes(alice, conversation) != [])
    told = changes(alice, conversation)[0]
    assert told["target"] == offset
    assert told["thread"]["replies"] == 1
    assert told["thread"]["last_reply"]["sender"] == "bob"
    got = await alice.rpc("message.get", conversation=conversation, offset=offset)
    assert got["message"]["thread"] == told["thread"]
    listed = await alice.rpc("conversation.list")
    assert [one["id"] for one in listed["conversations"]] == [conversation]


async def test_replies_are_counted_together_and_not_more_often_than_once_a_second(alice, bob):
    conversation, _, thread = await root(alice, "bob")
    for number in range(20):
        await say((alice, bob)[number % 2], thread, str(number))
    await alice.until(lambda: [one["thread"]["replies"] for one in changes(alice, conversation)][-1:] == [20])
    times = [change["at"] for change in changes(alice, conversation)]
    assert all(later - earlier >= 1000 for earlier, later in pairwise(times))
    assert created(alice, thread) == [str(number) for number in range(20)]
    # Who replies follows from there on.
    assert created(bob, thread) == [str(number) for number in range(1, 20)]


async def test_two_hubs_make_one_thread_of_many_first_replies(apps):
    _one, _ = apps
    users = [f"user{number}" for number in range(8)]
    async with AsyncExitStack() as stack:
        clients = []
        for number, user in enumerate(users):
            client = await stack.enter_async_context(wire_client(apps[number % 2].websocket))
            await client.connect(apps[number % 2].token(user))
            clients.append(client)
        conversation, _, thread = await root(clients[0], *users)
        for client in clients:
            await client.until(lambda client=client: created(client, conversation) == ["root"])
        answers = await asyncio.gather(
            *(say(client, thread, user) for client, user in zip(clients, users, strict=True))
        )
        assert sorted(answer["message"]["offset"] for answer in answers) == list(range(1, 9))
        order = sorted(users, key=lambda user: answers[users.index(user)]["message"]["offset"])
        # The author of the root follows from the first reply on, others from their own.
        for user, client in zip(users, clients, strict=True):
            heard = order if client is clients[0] else order[order.index(user) :]
            await client.until(lambda client=client, heard=heard: created(client, thread) == heard)
        await clients[0].until(
            lambda: [one["thread"]["replies"] for one in changes(clients[0], conversation)][-1:] == [8]
        )


async def test_a_crowd_that_replies_at_once_is_answered_at_once(apps):
    users = [f"user{number}" for number in range(100)]
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(wire_client(apps[0].websocket))
        await alice.connect(apps[0].token("alice"))
        conversation, offset, thread = await root(alice, *users)
        await say(alice, thread, "first")
        rests = [await stack.enter_async_context(apps[number % 2].rest(user)) for number, user in enumerate(users)]

        async def reply(rest) -> int:
            body = {"idempotency_key": "k", "text": "me too"}
            async with rest.post(f"/v1/conversations/{thread}/messages", json=body) as answer:
                return answer.status

        assert set(await asyncio.gather(*map(reply, rests))) == {201}
        await alice.until(lambda: [one["thread"]["replies"] for one in changes(alice, conversation)][-1:] == [101])
        got = await alice.rpc("message.get", conversation=conversation, offset=offset)
        assert got["message"]["thread"]["replies"] == 101


async def test_a_repeated_first_reply_is_the_same_reply(app, alice, bob):
    _, _, thread = await root(alice, "bob")
    request = {"conversation": thread, "idempotency_key": "k", "text": "once"}
    first, second = await asyncio.gather(bob.rpc("message.send", **request), bob.rpc("message.send", **request))
    assert first["message"] == second["message"]
    assert sorted([first["duplicate"], second["duplicate"]]) == [False, True]
    again = await bob.rpc("message.send", **request)
    assert (again["message"], again["duplicate"]) == (first["message"], True)


@pytest.mark.parametrize("offset", [1, 99])
async def test_there_has_to_be_a_message_to_reply_to(alice, offset):
    conversation, _, _ = await root(alice)
    refused = await say(alice, f"{conversation}~{offset}", "to whom?")
    assert refused["error"]["code"] == 103
    assert "$.conversation: there is no message to reply to" in refused["error"]["message"]


async def test_a_reply_has_no_thread_of_its_own(alice):
    _, _, thread = await root(alice)
    await say(alice, thread, "reply")
    refused = await say(alice, f"{thread}~1", "below a reply")
    assert refused["error"]["code"] == 107
    assert "$.conversation" in refused["error"]["message"]


async def test_a_deleted_message_takes_no_first_reply_and_keeps_those_it_has(alice, bob):
    conversation, offset, thread = await root(alice, "bob")
    await say(bob, thread, "reply")
    await alice.until(lambda: changes(alice, conversation) != [])
    assert "error" not in await alice.rpc("message.delete", conversation=conversation, offset=offset)
    page = await bob.rpc("history.page", conversation=thread)
    assert [message["text"] for message in page["items"]] == ["reply"]
    assert "message" in await say(bob, thread, "go on")
    await alice.until(lambda: [one["thread"]["replies"] for one in changes(alice, conversation)][-1:] == [2])
    other = (await say(alice, conversation, "another"))["message"]["offset"]
    await alice.rpc("message.delete", conversation=conversation, offset=other)
    refused = await say(bob, f"{conversation}~{other}", "too late")
    assert refused["error"]["code"] == 113
    assert "$.conversation: the message was deleted" in refused["error"]["message"]


async def test_following_and_no_longer(app, alice, bob):
    _, _, thread = await root(alice, "bob", "carol")
    async with wire_client(app.websocket) as carol:
        await carol.connect(app.token("carol"))
        early = await carol.rpc("thread.follow", conversation=thread)
        assert early["error"]["code"] == 103
        assert "nobody has replied there yet" in early["error"]["message"]
        await say(bob, thread, "one")
        followed = await carol.rpc("thread.follow", conversation=thread)
        assert followed["thread"]["id"] == thread
        assert (followed["thread"]["unread"], followed["thread"]["members_count"]) == (0, 3)
        assert await carol.rpc("thread.follow", conversation=thread) == followed
        await carol.until(lambda: subscribed(carol, thread) != [])
        await say(bob, thread, "two")
        await carol.until(lambda: created(carol, thread) == ["two"])
        await follows(carol, {thread: 1})
        read = await carol.rpc("read.mark", conversation=thread, offset=2)
        assert read["unread"] == 0
        for _ in range(2):
            assert await carol.rpc("thread.unfollow", conversation=thread) == {}
        await carol.until(lambda: any("unsubscribe" in push for push in carol.pushes))
        assert len(personal(carol, "carol", "thread.unfollowed")) == 1
        await follows(carol, {})
        assert "message" in await say(carol, thread, "back")
        await follows(carol, {thread: 0})


async def test_who_connects_has_followed_threads_and_resumes_them(app, alice, bob):
    _, _, thread = await root(alice, "bob")
    await say(bob, thread, "one")
    async with wire_client(app.websocket) as tablet:
        result = await tablet.connect(app.token("alice"))
        assert result["subs"][f"conv:{thread}"]["data"]["read"] == {"offset": 0, "n": 0}
        await say(bob, thread, "two")
        await tablet.until(lambda: created(tablet, thread)[-1:] == ["two"])
    async with wire_client(app.websocket) as tablet:
        subs = {f"conv:{thread}": {"recover": True, "epoch": "", "offset": 0}}
        await tablet.connect(app.token("alice"), subs=subs)
        await tablet.until(lambda: created(tablet, thread) == ["one", "two"])


async def test_a_thread_can_be_opened_before_anybody_has_replied(app, alice, bob):
    conversation, _, thread = await root(alice, "bob", "carol")
    async with wire_client(app.websocket) as carol:
        await carol.connect(app.token("carol"))
        opened = await carol.call(subscribe={"channel": f"conv:{thread}"})
        assert "error" not in opened
        await say(bob, thread, "first")
        await carol.until(lambda: created(carol, thread) == ["first"])
        refused = await carol.call(subscribe={"channel": f"conv:{conversation}~99"})
        assert refused["error"]["code"] == 103
    async with wire_client(app.websocket) as dave:
        await dave.connect(app.token("dave"))
        refused = await dave.call(subscribe={"channel": f"conv:{thread}"})
        assert refused["error"]["code"] == 103


async def test_who_is_out_of_the_conversation_is_out_of_its_threads_at_once(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation, _, thread = await root(alice, "bob")
        await bob.until(lambda: created(bob, conversation) == ["root"])
        await say(bob, thread, "in")
        await bob.until(lambda: created(bob, thread) == ["in"])
        await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
        await bob.until(
            lambda: (
                {push["channel"] for push in bob.pushes if "unsubscribe" in push}
                == {f"conv:{conversation}", f"conv:{thread}"}
            )
        )
        for method, fields in (
            ("message.send", {"idempotency_key": "k", "text": "still?"}),
            ("history.page", {}),
            ("thread.follow", {}),
            ("conversation.get", {}),
            ("message.react", {"offset": 1, "reaction": "👍"}),
        ):
            refused = await bob.rpc(method, conversation=thread, **fields)
            assert refused["error"]["code"] == 103, method
        await follows(bob, {})
        async with wire_client(two.websocket) as again:
            result = await again.connect(two.token("bob"))
            assert [name for name in result.get("subs", {}) if name.startswith("conv:")] == []
        await say(alice, thread, "alone")
        await alice.rpc("conversation.add_members", conversation=conversation, members=["bob"])
        await follows(bob, {thread: 1})


async def test_a_thread_is_a_conversation_like_any_other(app, alice, bob):
    conversation, _, thread = await root(alice, "bob")
    sent = (await say(bob, thread, "typo"))["message"]
    edited = await bob.rpc("message.edit", conversation=thread, offset=sent["offset"], text="fixed")
    assert edited["message"]["text"] == "fixed"
    reacted = await alice.rpc("message.react", conversation=thread, offset=sent["offset"], reaction="👍")
    assert reacted == {"reactions": {"👍": 1}, "own": ["👍"]}
    got = await alice.rpc("message.get", conversation=thread, offset=sent["offset"])
    assert got["message"]["text"] == "fixed"
    seen = await alice.rpc("conversation.get", conversation=thread)
    assert (seen["conversation"]["kind"], seen["conversation"]["parent"]) == ("thread", conversation)
    assert (seen["conversation"]["role"], seen["conversation"]["unread"]) == ("owner", 1)
    members = await alice.rpc("conversation.members", conversation=thread)
    assert [member["user"] for member in members["members"]] == ["alice", "bob"]
    read = await alice.rpc("read.mark", conversation=thread, offset=sent["offset"])
    assert read["unread"] == 0
    deleted = await bob.rpc("message.delete", conversation=thread, offset=sent["offset"])
    assert "error" not in deleted
    page = await alice.rpc("history.page", conversation=thread)
    assert page["items"][0]["text"] == ""


async def test_threads_by_rest(app, alice, bob):
    _, _, thread = await root(alice, "bob")
    await say(bob, thread, "one")
    async with app.rest("alice") as rest:
        answer = await rest.get("/v1/threads")
        assert [one["id"] for one in (await answer.json())["threads"]] == [thread]
        answer = await rest.delete(f"/v1/conversations/{thread}/follow")
        assert answer.status == 200
        assert (await (await rest.get("/v1/threads")).json())["threads"] == []
        answer = await rest.put(f"/v1/conversations/{thread}/follow")
        assert (await answer.json())["thread"]["id"] == thread


async def test_followed_threads_are_paged_by_newest_activity(alice, bob):
    conversation = await group(alice, "bob")
    threads = []
    for number in range(5):
        offset = (await say(alice, conversation, str(number)))["message"]["offset"]
        threads.append(f"{conversation}~{offset}")
        await say(bob, threads[-1], "reply")
    seen, before = [], {}
    while True:
        page = await alice.rpc("thread.list", limit=2, **before)
        seen += [thread["id"] for thread in page["threads"]]
        if "next" not in page:
            break
        before = {"before": page["next"]}
    assert seen == threads[::-1]
