"""People with many conversations: some in the reply, the rest as soon as something happens there."""

import pytest

from support.app import serve_app, test_config
from support.talking import created, group, say
from support.wire_client import wire_client


@pytest.fixture
def few(mongodb_url, database_name, redis_url, redis_prefix):
    """A configuration under which two conversations come with the reply."""
    return test_config(
        mongodb_url,
        database_name,
        redis_url,
        redis_prefix,
        client__conversations_on_connect=2,
        client__queue_max_size="64KiB",
    )


async def test_a_hundred_and_fifty_conversations_come_with_the_reply_and_resume(app):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        made = [await group(alice, "bob") for _ in range(150)]
        async with wire_client(app.websocket) as bob:
            result = await bob.connect(app.token("bob"))
            assert {f"conv:{one}" for one in made} < set(result["subs"])
            assert result["data"].get("left_out", 0) == 0
            subs = {
                name: {"recover": True, "epoch": sub["epoch"], "offset": sub["offset"]}
                for name, sub in result["subs"].items()
                if name.startswith("conv:")
            }
        for number, conversation in enumerate(made):
            await say(alice, conversation, str(number))
        async with wire_client(app.websocket) as bob:
            result = await bob.connect(app.token("bob"), subs=subs)
            assert all(result["subs"][name]["recovered"] for name in subs)
            await bob.until(lambda: all(created(bob, one) for one in made))
            assert [created(bob, one) for one in made] == [[str(number)] for number in range(150)]


async def test_what_does_not_fit_the_reply_comes_when_something_happens_there(few):
    async with serve_app(few) as app, wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        made = [await group(alice, "bob") for _ in range(5)]
        # Who connects while a conversation is being made may be let in by a push as well.
        await alice.until(lambda: all(alice.offsets(f"conv:{one}") == [1] for one in made))
        result = await bob.connect(app.token("bob"))
        conversations = [name for name in result["subs"] if name.startswith("conv:")]
        assert conversations == [f"conv:{made[4]}", f"conv:{made[3]}"]
        assert result["data"]["left_out"] == 3
        assert result["data"]["limits"]["conversations_on_connect"] == 2
        for text in ("one", "two"):
            await say(alice, made[0], text)
        await alice.rpc("typing.start", conversation=made[1])
        await bob.until(lambda: created(bob, made[0]) == ["one", "two"])
        told = [
            push["subscribe"] for push in bob.pushes if push.get("channel") == f"conv:{made[0]}" and "subscribe" in push
        ]
        assert [one["offset"] for one in told] == [1]
        assert told[0]["data"] == {"head": {"offset": 1}}
        assert [push for push in bob.pushes if push.get("channel") == f"conv:{made[1]}"] == []
        await alice.rpc("conversation.remove_member", conversation=made[2], user="bob")
        await say(alice, made[2], "he is gone")
        await say(alice, made[1], "still there")
        await bob.until(lambda: created(bob, made[1]) == ["still there"])
        assert not created(bob, made[2])


async def test_who_comes_into_a_conversation_is_told_where_it_stands(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        await bob.connect(app.token("bob"))
        conversation = await group(alice)
        for number in range(3):
            await say(alice, conversation, str(number))
        await alice.rpc("conversation.add_members", conversation=conversation, members=["bob"])
        await bob.until(lambda: any("subscribe" in push for push in bob.pushes))
        told = next(push["subscribe"] for push in bob.pushes if "subscribe" in push)
        assert told["offset"] == 4
        assert told["data"] == {"head": {"offset": 4, "n": 3}, "read": {"offset": 5, "n": 3}}
        seen = await bob.rpc("conversation.get", conversation=conversation)
        assert seen["conversation"]["read"] == told["data"]["read"]
