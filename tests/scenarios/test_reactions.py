"""Reacting to messages, by socket and by REST, on two hubs."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from urllib.parse import quote

import pytest

from chat.worker import open_worker
from support.talking import group, say
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


async def message(client: WireClient, *members: str) -> tuple[str, dict]:
    """A group with one message: its channel, and the parameters that name the message."""
    conversation = await group(client, *members)
    offset = (await say(client, conversation, "react!"))["message"]["offset"]
    return f"conv:{conversation}", {"conversation": conversation, "offset": offset}


def counts(client: WireClient, channel: str) -> list[dict]:
    """What the client was told of reactions, in order."""
    return [
        pub["data"]["reactions"] for pub in client.publications(channel) if pub["data"]["type"] == "reaction.changed"
    ]


async def test_a_reaction_is_answered_with_the_counts_and_told_to_all(alice, bob):
    channel, target = await message(alice, "bob")
    first = await bob.rpc("message.react", **target, reaction="👍")
    assert first == {"reactions": {"👍": 1}, "own": ["👍"]}
    assert await bob.rpc("message.react", **target, reaction="👍") == first
    second = await alice.rpc("message.react", **target, reaction=":party-parrot:")
    assert second == {"reactions": {"👍": 1, ":party-parrot:": 1}, "own": [":party-parrot:"]}
    await alice.until(lambda: counts(alice, channel)[-1:] == [{"👍": 1, ":party-parrot:": 1}])
    event = next(pub["data"] for pub in alice.publications(channel) if pub["data"]["type"] == "reaction.changed")
    assert (event["target"], event["by"]) == (target["offset"], "bob")
    got = await alice.rpc("message.get", **target)
    assert got["message"]["reactions"] == {"👍": 1, ":party-parrot:": 1}
    for _ in range(2):
        gone = await bob.rpc("message.unreact", **target, reaction="👍")
        assert gone == {"reactions": {":party-parrot:": 1}, "own": []}
    await alice.until(lambda: counts(alice, channel)[-1:] == [{":party-parrot:": 1}])
    head = (await alice.rpc("conversation.get", conversation=target["conversation"]))["conversation"]["head"]
    assert head["n"] == 1


async def test_who_reacted_is_paged(app, alice, bob):
    _, target = await message(alice, "bob", "carol")
    async with wire_client(app.websocket) as carol:
        await carol.connect(app.token("carol"))
        for client in (alice, bob, carol):
            await client.rpc("message.react", **target, reaction="👍")
        await bob.rpc("message.react", **target, reaction="🎉")
        page = await bob.rpc("message.reactions", **target, reaction="👍", limit=2)
        assert [item["user"] for item in page["items"]] == ["alice", "bob"]
        assert (page["reactions"], set(page["own"])) == ({"👍": 3, "🎉": 1}, {"👍", "🎉"})
        rest = await bob.rpc("message.reactions", **target, reaction="👍", limit=2, after=page["next"])
        assert [item["user"] for item in rest["items"]] == ["carol"]
        assert "next" not in rest
        seen, after = [], {}
        while True:
            page = await carol.rpc("message.reactions", **target, limit=1, **after)
            seen += [(item["reaction"], item["user"]) for item in page["items"]]
            if "next" not in page:
                break
            after = {"after": page["next"]}
        assert sorted(seen) == sorted([("👍", "alice"), ("👍", "bob"), ("👍", "carol"), ("🎉", "bob")])
        refused = await bob.rpc("message.reactions", **target, reaction="🎉", after="👍|bob")
        assert refused["error"]["code"] == 107
        assert "$.after" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("reaction", "fits"),
    [
        ("x" * 64, True),
        ("x" * 65, False),
        ("👍" * 16, True),
        ("👍" * 16 + "x", False),
        ("", False),
        ("a|b", False),
        ("a b", False),
        ("a\u0000b", False),
        ("a\nb", False),
        ("👩‍👩‍👧‍👦", True),
        ("1️⃣", True),
        (":+1::skin-tone-2:", True),
        ("$a.b", True),
    ],
)
async def test_what_a_reaction_may_be(alice, reaction, fits):
    _, target = await message(alice)
    answer = await alice.rpc("message.react", **target, reaction=reaction)
    if fits:
        assert answer["own"] == [reaction]
    else:
        assert answer["error"]["code"] == 107
        assert "$.reaction" in answer["error"]["message"]


async def test_the_limits_are_told(alice):
    _, target = await message(alice)
    answers = await asyncio.gather(
        *(alice.rpc("message.react", **target, reaction=f":n{number}:") for number in range(20))
    )
    assert all("error" not in answer for answer in answers)
    refused = await alice.rpc("message.react", **target, reaction=":one-more:")
    assert refused["error"]["code"] == 106
    assert "at most 20 different reactions" in refused["error"]["message"]


async def test_there_has_to_be_a_message_that_is_not_deleted(app, alice, bob):
    _, target = await message(alice, "bob")
    await bob.rpc("message.react", **target, reaction="👍")
    await alice.rpc("message.delete", **target)
    for method in ("message.react", "message.unreact", "message.reactions"):
        refused = await bob.rpc(method, **target, reaction="👍")
        assert refused["error"] == {"code": 113, "message": "conflict: $.offset: the message was deleted"}, method
        for offset in (1, 99):
            missing = await bob.rpc(method, conversation=target["conversation"], offset=offset, reaction="👍")
            assert missing["error"]["code"] == 103
            assert "$.offset: there is no message at this offset" in missing["error"]["message"]
    async with wire_client(app.websocket) as mallory:
        await mallory.connect(app.token("mallory"))
        for method in ("message.react", "message.unreact", "message.reactions"):
            foreign = await mallory.rpc(method, **target, reaction="👍")
            missing = await mallory.rpc(method, conversation="a" * 26, offset=1, reaction="👍")
            assert foreign["error"] == missing["error"]
            assert foreign["error"]["code"] == 103


async def test_readers_of_a_channel_react_and_a_reader_of_a_group_takes_back_only(alice, bob):
    made = await alice.rpc("conversation.create", kind="channel", members=["bob"])
    channel = made["conversation"]["id"]
    offset = (await say(alice, channel, "news"))["message"]["offset"]
    assert "error" not in await bob.rpc("message.react", conversation=channel, offset=offset, reaction="👍")
    _, target = await message(alice, "bob")
    await bob.rpc("message.react", **target, reaction="👍")
    await alice.rpc("conversation.set_role", conversation=target["conversation"], user="bob", role="reader")
    refused = await bob.rpc("message.react", **target, reaction="🎉")
    assert refused["error"]["code"] == 103
    assert (await bob.rpc("message.unreact", **target, reaction="👍"))["own"] == []


async def test_reactions_by_rest(app, alice):
    _, target = await message(alice, "bob")
    path = f"/v1/conversations/{target['conversation']}/messages/{target['offset']}/reactions"
    async with app.rest("bob") as rest:
        for reaction in ("👍", "a/b", ":x%2F:", "#?&"):
            answer = await rest.put(f"{path}/{quote(reaction, safe='')}")
            assert answer.status == 200, await answer.text()
            assert reaction in (await answer.json())["own"]
        listed = await (await rest.get(path, params={"reaction": "👍"})).json()
        assert [(item["user"], item["reaction"]) for item in listed["items"]] == [("bob", "👍")]
        answer = await rest.delete(f"{path}/{quote('👍', safe='')}")
        assert "👍" not in (await answer.json())["own"]
        too_long = await rest.put(f"{path}/{'x' * 65}")
        assert too_long.status == 400
        missing = await rest.put(f"/v1/conversations/{target['conversation']}/messages/99/reactions/x")
        assert missing.status == 404


async def test_hundreds_who_react_at_once_on_two_hubs_are_told_together(apps):
    users = [f"user{number}" for number in range(200)]
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(wire_client(apps[0].websocket))
        await alice.connect(apps[0].token("alice"))
        channel, target = await message(alice, *users)
        rests = [await stack.enter_async_context(apps[number % 2].rest(user)) for number, user in enumerate(users)]
        path = f"/v1/conversations/{target['conversation']}/messages/{target['offset']}/reactions/x"

        async def react(rest) -> int:
            async with rest.put(path) as answer:
                return answer.status

        assert set(await asyncio.gather(*map(react, rests))) == {200}
        await alice.until(lambda: counts(alice, channel)[-1:] == [{"x": 200}])
        times = [pub["data"]["at"] for pub in alice.publications(channel) if pub["data"]["type"] == "reaction.changed"]
        assert all(later - earlier >= 1000 for earlier, later in pairwise(times))


async def test_what_a_killed_hub_has_not_told_is_told_by_the_worker_to_all_who_listen(app, config, alice, bob):
    channel, target = await message(alice, "bob")
    # As if it were killed right after each commit.
    app.running.process.store.reactions.on_changed = lambda _due: None
    for client in (alice, bob):
        await client.rpc("message.react", **target, reaction="👍")
    assert counts(alice, channel) == []
    async with open_worker(config):
        await alice.until(lambda: counts(alice, channel) == [{"👍": 2}], within_s=30)
    got = await alice.rpc("message.get", **target)
    assert got["message"]["reactions"] == {"👍": 2}
