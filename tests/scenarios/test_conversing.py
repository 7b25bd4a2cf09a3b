"""People talking: one hub, the public protocol and REST."""

from uuid import uuid4

from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import wire_client


async def test_a_message_reaches_the_other_and_is_acknowledged_to_the_sender(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        await bob.connect(app.token("bob"))
        conversation = await group(alice, "bob")
        await bob.until(lambda: any(push.get("channel") == f"conv:{conversation}" for push in bob.pushes))
        sent = await say(alice, conversation, "hello")
        assert sent["duplicate"] is False
        assert sent["message"]["text"] == "hello"
        assert sent["message"]["offset"] == 2  # the first entry says who the members are
        assert sent["message"]["n"] == 1
        for client in (alice, bob):
            await client.until(lambda client=client: created(client, conversation) == ["hello"])
            assert client.offsets(f"conv:{conversation}") == [1, 2]


async def test_the_same_two_people_have_one_direct_conversation(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        await bob.connect(app.token("bob", info={"name": "Bob"}))
        first = await alice.rpc("conversation.create", kind="direct", members=["bob"])
        again = await bob.rpc("conversation.create", kind="direct", members=["alice"])
        assert first["conversation"]["id"] == again["conversation"]["id"]
        assert (first["duplicate"], again["duplicate"]) == (False, True)
        assert first["conversation"]["peer"]["id"] == "bob"
        assert first["conversation"]["peer"]["name"] == "Bob"
        assert again["conversation"]["peer"]["id"] == "alice"


async def test_the_same_key_gives_the_original_message(app):
    async with wire_client(app.websocket) as alice, app.rest("alice") as rest:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        key = str(uuid4())
        first = await alice.rpc("message.send", conversation=conversation, idempotency_key=key, text="one")
        again = await alice.rpc("message.send", conversation=conversation, idempotency_key=key, text="other")
        assert again["duplicate"] is True
        assert again["message"] == first["message"]
        answer = await rest.post(
            f"/v1/conversations/{conversation}/messages", json={"idempotency_key": key, "text": "third"}
        )
        assert answer.status == 200
        assert (await answer.json())["message"] == first["message"]


async def test_reconnecting_brings_exactly_what_was_missed(app):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        async with wire_client(app.websocket) as bob:
            result = await bob.connect(app.token("bob"))
            position = result["subs"][f"conv:{conversation}"]
        for number in range(50):
            await say(alice, conversation, str(number))
        subs = {f"conv:{conversation}": {"recover": True, "epoch": position["epoch"], "offset": position["offset"]}}
        async with wire_client(app.websocket) as bob:
            result = await bob.connect(app.token("bob"), subs=subs)
            assert result["subs"][f"conv:{conversation}"]["recovered"] is True
            await bob.until(lambda: len(created(bob, conversation)) == 50)
            assert created(bob, conversation) == [str(number) for number in range(50)]


async def test_history_pages_backwards_and_forwards(app):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        for number in range(25):
            await say(alice, conversation, str(number))
        newest = await alice.rpc("history.page", conversation=conversation, limit=10)
        assert [message["text"] for message in newest["items"]] == [str(number) for number in range(15, 25)]
        assert (newest["page"]["has_before"], newest["page"]["has_after"]) == (True, False)
        older = await alice.rpc("history.page", conversation=conversation, before=newest["page"]["oldest"], limit=100)
        assert [message["text"] for message in older["items"]] == [str(number) for number in range(15)]
        assert older["page"]["has_before"] is False
        around = await alice.rpc("history.page", conversation=conversation, around=older["items"][7]["offset"], limit=5)
        assert older["items"][7] in around["items"]


async def test_unread_counts_follow_read_positions(app):
    async with (
        wire_client(app.websocket) as alice,
        wire_client(app.websocket) as bob,
        wire_client(app.websocket) as phone,
    ):
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        await bob.connect(app.token("bob"))
        await phone.connect(app.token("bob"))
        sent = [await say(alice, conversation, str(number)) for number in range(3)]

        async def unread() -> int:
            listed = await bob.rpc("conversation.list")
            return listed["conversations"][0]["unread"]

        await eventually(lambda: _equals(unread, 3))
        marked = await bob.rpc("read.mark", conversation=conversation, offset=sent[1]["message"]["offset"])
        assert marked["unread"] == 1
        await phone.until(lambda: phone.publications("user:bob"))
        assert phone.publications("user:bob")[0]["data"]["type"] == "unread"
        await alice.until(
            lambda: any(pub["data"]["type"] == "read" for pub in alice.publications(f"conv:{conversation}"))
        )
        await eventually(lambda: _equals(unread, 1))


async def _equals(ask, value) -> bool:
    return await ask() == value


async def test_sending_moves_ones_own_read_position(app):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        await say(alice, conversation, "mine")

        async def unread() -> int:
            return (await alice.rpc("conversation.get", conversation=conversation))["conversation"]["unread"]

        await eventually(lambda: _equals(unread, 0))


async def test_strangers_cannot_tell_a_foreign_conversation_from_a_missing_one(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as mallory:
        await alice.connect(app.token("alice"))
        await mallory.connect(app.token("mallory"))
        conversation = await group(alice)
        for method, fields in (
            ("conversation.get", {}),
            ("history.page", {}),
            ("message.send", {"idempotency_key": "k", "text": "x"}),
            ("conversation.members", {}),
            ("read.mark", {"offset": 1}),
            ("typing.start", {}),
            ("conversation.join", {}),
            ("conversation.leave", {}),
        ):
            foreign = await mallory.rpc(method, conversation=conversation, **fields)
            missing = await mallory.rpc(method, conversation="a" * 26, **fields)
            assert foreign == missing, method
            assert foreign["error"]["code"] == 103, method
        foreign = await mallory.call(subscribe={"channel": f"conv:{conversation}"})
        missing = await mallory.call(subscribe={"channel": "conv:" + "a" * 26})
        assert foreign == missing


async def test_a_removed_member_hears_nothing_more_and_may_not_send(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        await bob.connect(app.token("bob"))
        assert (await say(bob, conversation, "hello"))["message"]
        assert await alice.rpc("conversation.remove_member", conversation=conversation, user="bob") == {}
        await bob.until(lambda: any("unsubscribe" in push for push in bob.pushes))
        assert (await say(bob, conversation, "still here?"))["error"]["code"] == 103
        await say(alice, conversation, "he is gone")
        await alice.until(lambda: "he is gone" in created(alice, conversation))
        assert "he is gone" not in created(bob, conversation)
        kinds = [pub["data"]["type"] for pub in bob.publications("user:bob")]
        assert "conversation.removed" in kinds


async def test_an_added_member_is_subscribed_at_once(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as carol:
        await alice.connect(app.token("alice"))
        await carol.connect(app.token("carol"))
        conversation = await group(alice)
        await say(alice, conversation, "before")
        await alice.rpc("conversation.add_members", conversation=conversation, members=["carol"])
        await say(alice, conversation, "after")
        await carol.until(lambda: created(carol, conversation) == ["after"])
        kinds = [pub["data"]["type"] for pub in carol.publications(f"conv:{conversation}")]
        assert kinds == ["member.joined", "message.created"]


async def test_channels_are_joined_to_read_and_written_by_their_moderators(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        await bob.connect(app.token("bob"))
        made = await alice.rpc("conversation.create", kind="channel", title="Announcements")
        channel = made["conversation"]["id"]
        joined = await bob.rpc("conversation.join", conversation=channel)
        assert joined["conversation"]["role"] == "reader"
        assert (await say(bob, channel, "may I?"))["error"]["code"] == 103
        await say(alice, channel, "hear, hear")
        await bob.until(lambda: created(bob, channel) == ["hear, hear"])
        await alice.rpc("conversation.set_role", conversation=channel, user="bob", role="moderator")
        assert "message" in await say(bob, channel, "now I may")


async def test_typing_and_presence(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        await bob.connect(app.token("bob"))
        assert await alice.rpc("typing.start", conversation=conversation) == {}
        await bob.until(
            lambda: any(pub["data"]["type"] == "typing" for pub in bob.publications(f"conv:{conversation}"))
        )

        async def online() -> list[str]:
            answer = await alice.rpc("presence.get", users=["bob", "carol"])
            return [one["user"] for one in answer["presence"] if one.get("online")]

        await eventually(lambda: _equals(online, ["bob"]))


async def test_sync_tells_what_changed_since_the_cursors(app):
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        await bob.connect(app.token("bob"))
        cold = await bob.rpc("sync")
        assert [one["conversation"]["id"] for one in cold["conversations"]] == [conversation]
        assert cold["conversations"][0]["complete"] is False
        await say(alice, conversation, "one")
        await say(alice, conversation, "two")

        async def news() -> dict:
            return await bob.rpc("sync", epoch=cold["epoch"], revision=cold["revision"], cursors={conversation: 1})

        async def both_there() -> bool:
            answer = await news()
            return bool(answer["conversations"]) and len(answer["conversations"][0].get("entries", [])) == 2

        await eventually(both_there)
        answer = await news()
        assert answer["conversations"][0]["complete"] is True
        assert [entry["message"]["text"] for entry in answer["conversations"][0]["entries"]] == ["one", "two"]
        await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
        assert (await news())["removed"] == [conversation]


async def test_publish_to_a_conversation_is_a_send(app):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        data = {"idempotency_key": "k1", "text": "in short"}
        for _ in range(2):
            assert await alice.call(publish={"channel": f"conv:{conversation}", "data": data}) == {}
        await say(alice, conversation, "last")
        await alice.until(lambda: created(alice, conversation) == ["in short", "last"])


async def test_bad_parameters_name_field_and_rule(app):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        error = (await alice.rpc("message.send", conversation="nope", idempotency_key="k", text="x"))["error"]
        assert error["code"] == 107
        assert error["message"].startswith("bad_request: $.conversation: ")
        error = (await alice.rpc("message.send", conversation="a" * 26, text="x"))["error"]
        assert error["message"] == "bad_request: $.idempotency_key: is required"
        error = (await alice.rpc("history.page", conversation="a" * 26, limit=1000))["error"]
        assert error["message"].startswith("bad_request: $.limit: ")
        assert (await alice.rpc("nope.nope"))["error"]["code"] == 108
