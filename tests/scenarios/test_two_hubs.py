"""Two hubs on one database and one Redis: one order, no holes, once."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

from support.talking import created, group, say
from support.wire_client import wire_client


async def test_a_message_sent_on_one_arrives_at_members_on_both_in_order_once(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        await bob.until(lambda: bob.offsets(f"conv:{conversation}") == [1])
        for number in range(30):
            await say((alice, bob)[number % 2], conversation, str(number))
        for client in (alice, bob):
            await client.until(lambda client=client: len(created(client, conversation)) == 30)
            assert created(client, conversation) == [str(number) for number in range(30)]
            assert client.offsets(f"conv:{conversation}") == list(range(1, 32))


async def test_who_has_heard_what_was_written_elsewhere_writes_behind_it_at_the_first_attempt(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        await bob.until(lambda: bob.offsets(f"conv:{conversation}") == [1])
        for number in range(10):
            await say((alice, bob)[number % 2], conversation, str(number))
            for client in (alice, bob):
                await client.until(lambda client=client: len(created(client, conversation)) == number + 1)  # noqa: B023
    # The first message of each hub has to find out where the log ends.
    assert sum(app.running.process.store.stats.lost_races for app in apps) <= 1


async def test_twenty_senders_on_both_leave_one_order_without_holes(apps):
    users = [f"user{number}" for number in range(20)]
    async with AsyncExitStack() as stack:
        clients = []
        for number, user in enumerate(users):
            app = apps[number % 2]
            client = await stack.enter_async_context(wire_client(app.websocket))
            await client.connect(app.token(user))
            clients.append(client)
        conversation = await group(clients[0], *users)
        channel = f"conv:{conversation}"
        for client in clients:
            await client.until(lambda client=client: client.offsets(channel) == [1])

        async def talk(number: int) -> None:
            for index in range(10):
                answer = await say(clients[number], conversation, f"{number}.{index}")
                assert "message" in answer, answer

        await asyncio.gather(*(talk(number) for number in range(20)))
        orders = []
        for client in clients:
            await client.until(lambda client=client: len(client.offsets(channel)) == 201)
            assert client.offsets(channel) == list(range(1, 202))
            orders.append(created(client, conversation))
        assert all(order == orders[0] for order in orders)
        for number in range(20):
            own = [text for text in orders[0] if text.startswith(f"{number}.")]
            assert own == [f"{number}.{index}" for index in range(10)]


async def test_one_key_fifty_times_at_once_is_one_message_and_fifty_equal_answers(apps):
    one, two = apps
    async with (
        wire_client(one.websocket) as alice,
        wire_client(two.websocket) as tablet,
        one.rest("alice") as rest_one,
        two.rest("alice") as rest_two,
    ):
        await alice.connect(one.token("alice"))
        await tablet.connect(two.token("alice"))
        conversation = await group(alice)
        key = str(uuid4())

        async def by_socket(client) -> dict:
            return await client.rpc("message.send", conversation=conversation, idempotency_key=key, text="once")

        async def by_rest(rest) -> dict:
            answer = await rest.post(
                f"/v1/conversations/{conversation}/messages", json={"idempotency_key": key, "text": "once"}
            )
            assert answer.status in (200, 201), await answer.text()
            return await answer.json()

        answers = await asyncio.gather(
            *(by_socket((alice, tablet)[number % 2]) for number in range(26)),
            *(by_rest((rest_one, rest_two)[number % 2]) for number in range(24)),
        )
        assert len(answers) == 50
        assert all(answer["message"] == answers[0]["message"] for answer in answers)
        assert sum(not answer["duplicate"] for answer in answers) == 1
        page = await alice.rpc("history.page", conversation=conversation)
        assert [message["text"] for message in page["items"]] == ["once"]
        await say(alice, conversation, "after")
        for client in (alice, tablet):
            await client.until(lambda client=client: len(created(client, conversation)) == 2)
            assert created(client, conversation) == ["once", "after"]


async def test_a_member_removed_on_one_hub_is_out_on_the_other(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        await bob.until(lambda: bob.offsets(f"conv:{conversation}") == [1])
        assert "message" in await say(bob, conversation, "warm the cache")
        await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
        assert (await say(bob, conversation, "still?"))["error"]["code"] == 103
        await bob.until(lambda: any("unsubscribe" in push for push in bob.pushes))


async def test_who_left_and_came_back_stays_when_another_resumes_over_that(app):
    """The entries of old departures are read again by everyone who resumes; they are no news to anybody."""
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as carol:
        await alice.connect(app.token("alice"))
        await carol.connect(app.token("carol"))
        conversation = await group(alice, "bob", "carol")
        channel = f"conv:{conversation}"
        await carol.rpc("conversation.leave", conversation=conversation)
        await alice.rpc("conversation.add_members", conversation=conversation, members=["carol"])
        await carol.until(lambda: sum("subscribe" in push for push in carol.pushes) == 2)
        async with wire_client(app.websocket) as bob:
            await bob.connect(app.token("bob"), subs={channel: {"recover": True, "epoch": "", "offset": 1}})
            await say(alice, conversation, "still here?")
            await bob.until(lambda: created(bob, conversation) == ["still here?"])
            await carol.until(lambda: created(carol, conversation) == ["still here?"])
        assert sum("unsubscribe" in push for push in carol.pushes) == 1
