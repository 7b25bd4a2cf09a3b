"""Mentions: who may mention whom, what is unread of them, and where one finds them."""

from typing import Any
from uuid import uuid4

import pytest

from chat.vocabulary.cursor import encode_mention_cursor
from storage.mongo.mentions import everyone
from support.app import serve_app, test_config
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


@pytest.fixture
async def small(mongodb_url, database_name, redis_url, redis_prefix):
    """A hub where three may mention each other all at once."""
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, limits__mention_group_members=3)
    async with serve_app(config) as app:
        yield app


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


async def tell(client: WireClient, conversation: str, text: str = "hey", **fields: Any) -> Any:
    return await client.rpc(
        "message.send", conversation=conversation, idempotency_key=str(uuid4()), text=text, **fields
    )


def refusal(answer: Any) -> tuple[int, str]:
    return answer["error"]["code"], answer["error"]["message"]


async def unread(client: WireClient, conversation: str) -> tuple[int, int]:
    found = (await client.rpc("conversation.get", conversation=conversation))["conversation"]
    return found["unread"], found.get("mentions", 0)


async def counted(client: WireClient, conversation: str, messages: int, mentions: int) -> None:
    """Wait until lists tell of this: they trail the log by about a second."""

    async def told() -> bool:
        return await unread(client, conversation) == (messages, mentions)

    await eventually(told)


async def listed(client: WireClient, **fields: Any) -> list[tuple[str, int]]:
    """All pages of a list of mentions."""
    found: list[tuple[str, int]] = []
    page = await client.rpc("mention.list", **fields)
    while True:
        found += [(one["conversation"], one["offset"]) for one in page["items"]]
        if "next" not in page:
            return found
        page = await client.rpc("mention.list", **fields, before=page["next"])


async def test_unread_mentions_are_counted_everywhere_until_they_are_read(app, alice, bob):
    conversation = await group(alice, "bob", "carol")
    first = (await tell(alice, conversation, mentions=["bob", "bob", "carol"]))["message"]
    assert (first["mentions"], "mentions_group" in first, "meant" in first) == (["bob", "carol"], False, False)
    await say(alice, conversation, "nobody")
    second = (await tell(alice, conversation, mentions_group="all"))["message"]
    assert second["mentions_group"] == "all"
    await counted(bob, conversation, 3, 2)
    assert await unread(alice, conversation) == (0, 0)
    page = await bob.rpc("conversation.list")
    assert [one["mentions"] for one in page["conversations"]] == [2]
    synced = await bob.rpc("sync")
    assert [one["conversation"]["mentions"] for one in synced["conversations"]] == [2]
    totals = await bob.rpc("read.totals")
    none = {"unread": 0, "mentions": 0, "conversations": 0}
    assert totals == {"unread": 3, "mentions": 2, "conversations": 1, "muted": none, "threads": none}
    marked = await bob.rpc("read.mark", conversation=conversation, offset=first["offset"])
    assert (marked["unread"], marked["mentions"]) == (2, 1)
    await bob.until(lambda: any(one["data"]["type"] == "unread" for one in bob.publications("user:bob")))
    assert [one["data"]["mentions"] for one in bob.publications("user:bob") if one["data"]["type"] == "unread"] == [1]
    await bob.rpc("read.mark", conversation=conversation, offset=second["offset"])
    await counted(bob, conversation, 0, 0)


async def test_only_members_are_mentioned(alice, bob):
    conversation = await group(alice, "bob", "carol")
    for number, mentions in ((0, ["dave"]), (2, ["bob", "carol", "dave", "erin"])):
        code, message = refusal(await tell(alice, conversation, mentions=mentions))
        assert (code, message) == (107, f"bad_request: $.mentions[{number}]: is no member of the conversation")
    assert "message" in await tell(alice, conversation, mentions=["carol", "alice"])
    await alice.rpc("conversation.remove_member", conversation=conversation, user="carol")
    assert refusal(await tell(alice, conversation, mentions=["carol"]))[0] == 107
    for fields in ({"mentions": ["a b"]}, {"mentions": [f"u{i}" for i in range(51)]}, {"mentions_group": "some"}):
        assert refusal(await tell(alice, conversation, **fields))[0] == 107


async def test_fifty_are_mentioned_at_once_and_no_more(alice):
    users = [f"user{number}" for number in range(51)]
    conversation = await group(alice, *users)
    assert (await tell(alice, conversation, mentions=users[:50]))["message"]["mentions"] == users[:50]
    assert refusal(await tell(alice, conversation, mentions=users))[0] == 107


async def test_a_repeat_is_answered_whoever_has_left_since(alice):
    conversation = await group(alice, "bob")
    said = {"conversation": conversation, "idempotency_key": "k", "text": "hey", "mentions": ["bob"]}
    first = await alice.rpc("message.send", **said)
    await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
    again = await alice.rpc("message.send", **said)
    assert (again["duplicate"], again["message"]) == (True, first["message"])


async def test_without_mentions_nothing_more_is_asked_of_the_store(app, alice, monkeypatch):
    conversation = await group(alice, "bob")
    store = app.running.process.store
    asked: list[Any] = []
    live = type(store.members).live

    async def counting(self: Any, conversation: str, users: Any) -> Any:
        asked.append(users)
        return await live(self, conversation, users)

    monkeypatch.setattr(type(store.members), "live", counting)
    await say(alice, conversation, "a")
    await tell(alice, conversation, mentions_group="all")
    await tell(alice, conversation, mentions=["alice"])
    assert asked == []
    await tell(alice, conversation, mentions=["bob", "alice"])
    assert asked == [{"bob"}]


async def test_everyone_is_mentioned_by_everyone_up_to_a_size_and_by_moderators_beyond(small):
    async with wire_client(small.websocket) as alice, wire_client(small.websocket) as bob:
        connected = await alice.connect(small.token("alice"))
        assert connected["data"]["limits"]["mention_group_members"] == 3
        await bob.connect(small.token("bob"))
        three = await group(alice, "bob", "carol")
        assert (await tell(bob, three, mentions_group="all"))["message"]["mentions_group"] == "all"
        four = await group(alice, "bob", "carol", "dave")
        for kind in ("all", "here"):
            code, message = refusal(await tell(bob, four, mentions_group=kind))
            rule = "a member may not mention everyone in a group of more than 3 members"
            assert (code, message) == (103, f"permission_denied: $.mentions_group: {rule}")
            assert "message" in await tell(alice, four, mentions_group=kind)


async def test_here_is_who_is_connected_when_it_is_sent(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob", "carol")

        async def online() -> bool:
            answer = await alice.rpc("presence.get", users=["bob"])
            return bool(answer["presence"][0].get("online"))

        await eventually(online)
        sent = (await tell(alice, conversation, mentions_group="here", mentions=["carol"]))["message"]
        assert (sent["mentions"], sent["mentions_group"]) == (["carol"], "here")
        entry = await one.running.process.store.log.get(conversation, sent["offset"])
        assert entry is not None
        assert sorted(entry.body["meant"]) == ["bob", "carol"]
        await counted(bob, conversation, 1, 1)


async def test_here_reaches_at_most_so_many(small):
    async with wire_client(small.websocket) as alice:
        await alice.connect(small.token("alice"))
        users = [f"user{number}" for number in range(5)]
        conversation = await group(alice, *users)
        mentions = small.running.process.calls.service.mentions
        mentions._online = Everybody()
        sent = (await tell(alice, conversation, mentions_group="here"))["message"]
        entry = await small.running.process.store.log.get(conversation, sent["offset"])
        # The first three of the members, the sender left out.
        assert entry.body["meant"] == ["user0", "user1"]


async def test_with_the_broker_away_here_is_nobody_and_the_message_is_sent(app, alice):
    conversation = await group(alice, "bob")
    app.running.process.calls.service.mentions._online = Nobody()
    sent = (await tell(alice, conversation, mentions_group="here"))["message"]
    assert sent["mentions_group"] == "here"
    entry = await app.running.process.store.log.get(conversation, sent["offset"])
    assert "meant" not in entry.body


class Everybody:
    async def online(self, users: Any) -> set[str]:
        return set(users)


class Nobody:
    async def online(self, users: Any) -> set[str]:
        raise ConnectionError("away")


async def test_an_edit_changes_who_is_mentioned(app, alice, bob):
    conversation = await group(alice, "bob", "carol")
    offset = (await tell(alice, conversation, mentions=["bob"]))["message"]["offset"]
    place = {"conversation": conversation, "offset": offset}
    await counted(bob, conversation, 1, 1)
    edited = (await alice.rpc("message.edit", **place, text="better"))["message"]
    assert edited["mentions"] == ["bob"]
    assert await unread(bob, conversation) == (1, 1)
    edited = (await alice.rpc("message.edit", **place, mentions=["carol"]))["message"]
    assert edited["mentions"] == ["carol"]
    assert await unread(bob, conversation) == (1, 0)
    edited = (await alice.rpc("message.edit", **place, mentions_group="all"))["message"]
    assert (edited.get("mentions"), edited["mentions_group"]) == (None, "all")
    assert await unread(bob, conversation) == (1, 1)
    edited = (await alice.rpc("message.edit", **place, mentions_group=None))["message"]
    assert "mentions_group" not in edited
    assert await unread(bob, conversation) == (1, 0)
    assert refusal(await alice.rpc("message.edit", **place, mentions=["dave"]))[0] == 107


async def test_a_deleted_message_mentions_nobody(alice, bob):
    conversation = await group(alice, "bob")
    offset = (await tell(alice, conversation, mentions=["bob"]))["message"]["offset"]
    await counted(bob, conversation, 1, 1)
    await alice.rpc("message.delete", conversation=conversation, offset=offset)
    assert (await unread(bob, conversation))[1] == 0
    assert await listed(bob) == []


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_mentions_are_listed_newest_first_of_one_conversation_or_of_all(alice, bob, limit):
    one, two = await group(alice, "bob"), await group(alice, "bob")
    expected: list[tuple[str, int]] = []
    for number in range(3):
        for conversation in (one, two):
            await say(alice, conversation, "nothing")
            fields = {"mentions": ["bob"]} if number % 2 else {"mentions_group": "all"}
            sent = await tell(alice, conversation, **fields)
            expected.append((conversation, sent["message"]["offset"]))
    await tell(bob, one, mentions_group="all", mentions=["bob", "alice"])
    expected.reverse()
    assert await listed(bob, limit=limit) == expected
    assert await listed(bob, limit=limit, conversation=two) == [place for place in expected if place[0] == two]


async def test_of_conversations_that_one_has_left_nothing_is_listed(alice, bob):
    kept, left = await group(alice, "bob"), await group(alice, "bob")
    for number in range(6):
        await tell(alice, left, mentions=["bob"])
        await tell(alice, left, mentions_group="all")
        if number == 3:
            offset = (await tell(alice, kept, mentions=["bob"]))["message"]["offset"]
    await bob.rpc("conversation.leave", conversation=left)
    assert await listed(bob, limit=1) == [(kept, offset)]
    assert refusal(await bob.rpc("mention.list", conversation=left)) == refusal(
        await bob.rpc("mention.list", conversation="z" * 26)
    )


async def test_a_mention_of_everyone_is_not_for_who_came_later(alice, bob):
    conversation = await group(alice)
    await tell(alice, conversation, mentions_group="all")
    await alice.rpc("conversation.add_members", conversation=conversation, members=["bob"])
    offset = (await tell(alice, conversation, mentions_group="all"))["message"]["offset"]
    for fields in ({}, {"conversation": conversation}):
        assert await listed(bob, **fields) == [(conversation, offset)]


async def test_mentions_by_who_is_blocked_do_not_count(alice, bob):
    conversation = await group(alice, "bob", "carol")
    await tell(alice, conversation, mentions=["bob"])
    await tell(alice, conversation, mentions_group="all")
    await counted(bob, conversation, 2, 2)
    await bob.rpc("user.block", user="alice")
    assert await unread(bob, conversation) == (2, 0)
    assert (await bob.rpc("read.totals"))["mentions"] == 0
    assert await listed(bob) == []
    await bob.rpc("user.unblock", user="alice")
    assert await unread(bob, conversation) == (2, 2)


async def test_a_message_that_one_has_deleted_for_oneself_is_not_listed(alice, bob):
    conversation = await group(alice, "bob")
    first, second = [(await tell(alice, conversation, mentions=["bob"]))["message"]["offset"] for _ in range(2)]
    await bob.rpc("message.delete", **{"conversation": conversation, "offset": second, "for": "me"})
    assert await listed(bob) == [(conversation, first)]


async def test_a_place_that_is_none_is_refused(alice):
    conversation, other = await group(alice), await group(alice)
    await tell(alice, conversation)
    for before in ("garbage", "AAAA", ""):
        code, message = refusal(await alice.rpc("mention.list", before=before))
        assert (code, message) == (107, "bad_request: $.before: must be the `next` of an earlier page")
    cursor = encode_mention_cursor(1, other, 1)
    assert refusal(await alice.rpc("mention.list", conversation=conversation, before=cursor))[0] == 107


async def test_a_page_of_large_messages_is_short(alice, bob):
    conversation = await group(alice, "bob")
    sent = [
        (await tell(alice, conversation, text="x" * 16_000, mentions=["bob"]))["message"]["offset"] for _ in range(9)
    ]
    page = await bob.rpc("mention.list")
    assert len(page["items"]) == 3
    assert [offset for _, offset in await listed(bob)] == sent[::-1]


async def test_in_a_thread_members_are_mentioned_and_everyone_is_who_follows(app, alice, bob):
    conversation = await group(alice, "bob", "carol")
    root = (await say(alice, conversation, "root"))["message"]["offset"]
    thread = f"{conversation}~{root}"
    first = (await tell(bob, thread, mentions=["carol"]))["message"]["offset"]
    second = (await tell(bob, thread, mentions_group="all"))["message"]["offset"]
    assert refusal(await tell(bob, thread, mentions=["dave"]))[0] == 107
    entry = await app.running.process.store.log.get(thread, second)
    assert entry.body["meant"] == [everyone(thread)]
    assert await listed(alice) == [(thread, second)]
    await eventually_totals(alice, "threads", {"unread": 2, "mentions": 1, "conversations": 1})
    async with wire_client(app.websocket) as carol:
        await carol.connect(app.token("carol"))
        assert await listed(carol) == [(thread, first)]


async def eventually_totals(client: WireClient, part: str, expected: dict[str, int]) -> None:
    async def told() -> bool:
        return bool((await client.rpc("read.totals"))[part] == expected)

    await eventually(told)


async def test_over_rest(app, alice):
    conversation = await group(alice, "bob")
    path = f"/v1/conversations/{conversation}/messages"
    async with app.rest("alice") as rest, app.rest("bob") as bob:
        body = {"idempotency_key": "k", "text": "hey", "mentions": ["bob"], "mentions_group": "here"}
        sent = await rest.post(path, json=body)
        message = (await sent.json())["message"]
        assert (sent.status, message["mentions"], message["mentions_group"]) == (201, ["bob"], "here")
        answer = await bob.get("/v1/me/mentions", params={"limit": 1})
        assert (answer.status, await answer.json()) == (200, {"items": [message]})
        answer = await bob.get("/v1/me/mentions", params={"conversation": conversation})
        assert (await answer.json())["items"] == [message]
        refused = await rest.post(path, json={**body, "idempotency_key": "l", "mentions": ["bob", "dave"]})
        problem = await refused.json()
        assert (refused.status, problem["errors"][0]["pointer"]) == (400, "/mentions/1")
