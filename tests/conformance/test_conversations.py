"""Conversations over unmodified SDKs: given by the server at connect, written to by rpc, resumed from their logs."""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from conformance.harness.clients import Position, Refused, SdkClient, SubscribeOptions
from conformance.harness.relay import Relay
from conformance.harness.sdks import VARIANTS, Sdk
from conformance.harness.server import Served
from conformance.harness.speaker import Speaker, speaker
from support.waiting import eventually

Name = Callable[[str], str]
MAX_MISSED = 100
"""`limits.recovery_max_entries` in chat.toml."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many conversations of one author. `readers` by SDK and codec."""

    author: str
    readers: Mapping[tuple[str, str], str]
    conversations: list[str]


def texts(client: SdkClient, channel: str, *, side: str = "", after: int = 0) -> list[str]:
    """Of the messages that a client was told of."""
    told = client.of("publication", channel=channel, side=side, after=after)
    return [one.data["message"]["text"] for one in told if one.data["type"] == "message.created"]


async def gone_offline(client: SdkClient, relay: Relay) -> int:
    """Cut the client off and wait until it knows. Returns how much had happened to it then."""
    attempts = len(client.of("connecting"))
    relay.cut(offline=True)
    await client.until(lambda: len(client.of("connecting")) > attempts)
    return len(client.happened)


async def summarised(author: Speaker, conversation: str, head: int) -> bool:
    """Whether a conversation's summary, which follows its log, has come to an offset."""
    found = await author.rpc("conversation.get", conversation=conversation)
    return bool(found["conversation"]["head"]["offset"] >= head)


async def test_a_message_sent_by_rpc_reaches_the_members(sdk: Sdk, server: Served, name: Name) -> None:
    async with (
        sdk.client(server.websocket_url, name("ada")) as ada,
        sdk.client(server.websocket_url, name("ben")) as ben,
    ):
        await ada.connected()
        await ben.connected()
        created = await ada.rpc("conversation.create", kind="direct", members=[name("ben")])
        channel = f"conv:{created['conversation']['id']}"
        for client in (ada, ben):
            joined = await client.until_one("subscribed", channel=channel)
            assert (joined.side, joined.recoverable, joined.positioned) == ("server", True, True)
            assert joined.epoch
        message = {"conversation": created["conversation"]["id"], "idempotency_key": "k1", "text": "hi 🎈"}
        sent = await ada.rpc("message.send", **message)
        again = await ada.rpc("message.send", **{**message, "text": "another text"})
        assert (sent["duplicate"], again["duplicate"]) == (False, True)
        assert again["message"] == sent["message"]
        for client in (ada, ben):
            await client.until(lambda client=client: texts(client, channel))
            event = next(one for one in client.of("publication", channel=channel) if "message" in one.data)
            assert event.offset == sent["message"]["offset"] == event.data["offset"]
            assert event.data["message"] == sent["message"]
            assert event.data["by"] == name("ada")


async def test_a_publish_to_a_conversation_is_the_same_send(sdk: Sdk, server: Served, name: Name) -> None:
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        created = await ada.rpc("conversation.create", kind="group")
        channel = f"conv:{created['conversation']['id']}"
        for _ in range(2):
            await ada.publish(channel, {"idempotency_key": "k1", "text": "once"})
        await ada.until(lambda: texts(ada, channel) == ["once"])
        page = await ada.rpc("history.page", conversation=created["conversation"]["id"])
        assert [item["text"] for item in page["items"]] == ["once"]
        with pytest.raises(Refused) as refused:
            await ada.publish(channel, {"text": "no key"})
        assert refused.value.code == 107
        assert "idempotency_key" in refused.value.message


@pytest.fixture(scope="module")
def crowd(server: Served) -> Crowd:
    """The 150 conversations of the next test, made once for all SDKs: that takes longer than the test."""
    suffix = secrets.token_hex(4)
    readers = {sdk: f"reader-{'-'.join(sdk)}-{suffix}" for sdk in VARIANTS}

    async def create() -> list[str]:
        async with speaker(server, f"author-{suffix}") as author:
            return await author.create_many(150, *readers.values())

    return Crowd(f"author-{suffix}", readers, asyncio.run(create()))


async def test_150_conversations_miss_2000_messages_and_get_each_of_them_once_in_order(
    sdk: Sdk, server: Served, relay: Relay, crowd: Crowd
) -> None:
    chosen = random.Random(f"{sdk.name} {sdk.codec}")
    name, conversations = crowd.readers[sdk.name, sdk.codec], crowd.conversations
    async with speaker(server, crowd.author) as author, sdk.client(relay.url, name) as reader:
        await reader.connected()
        channels = {f"conv:{conversation}" for conversation in conversations}
        await reader.until(lambda: len(reader.of("subscribed", side="server")) == 151)
        assert {one.channel for one in reader.of("subscribed")} == channels | {f"user:{name}"}
        start = {one.channel: one.offset for one in reader.of("subscribed")}

        seen = await gone_offline(reader, relay)
        written: dict[str, dict[int, str]] = {channel: {} for channel in channels}

        async def write(messages: Sequence[tuple[str, str]]) -> None:
            for (conversation, text), offset in zip(messages, await author.send_all(messages), strict=True):
                written[f"conv:{conversation}"][offset] = text

        def has_all() -> bool:
            return all(reader.newest.get(channel, 0) >= max(of, default=0) for channel, of in written.items())

        await write([(chosen.choice(conversations), f"missed {number}") for number in range(2000)])
        relay.restore()
        # The conversations go on while it catches up.
        await write([(chosen.choice(conversations), f"live {number}") for number in range(100)])
        await reader.until(has_all)
        # Should anything come twice, it comes before these.
        await write([(conversation, "the end") for conversation in conversations])
        await reader.until(has_all)

        got: dict[str, dict[int, str]] = {channel: {} for channel in channels}
        for one in reader.of("publication", side="server"):
            if one.offset:  # who comes and goes is told as well, outside of the log
                got[one.channel][one.offset] = one.data["message"]["text"]
        for channel in channels:
            assert reader.offsets(channel) == list(range(start[channel] + 1, reader.newest[channel] + 1))
            assert written[channel].items() <= got[channel].items()
        resumed = [one for one in reader.of("subscribed", after=seen) if one.channel in channels]
        assert len(resumed) == 150
        assert all(one.was_recovering and one.recovered for one in resumed)
        assert not reader.of("unsubscribed")


async def test_it_resumes_again_and_again_whatever_breaks_off(
    sdk: Sdk, server: Served, relay: Relay, name: Name
) -> None:
    async with speaker(server, name("author")) as author, sdk.client(relay.url, name("reader")) as reader:
        conversations = await author.create_many(5, name("reader"))
        await reader.connected()
        await reader.until(lambda: len(reader.of("subscribed", side="server")) == 6)
        messages = [(conversations[number % 5], f"{number}") for number in range(300)]
        sending = asyncio.create_task(author.send_all(messages))
        for count in range(20, 300, 40):
            # In the middle of what comes, each time somewhere else.
            await reader.until(lambda count=count: len(reader.of("publication")) >= count)
            relay.cut()
        await sending
        await reader.until(lambda: len(reader.of("publication")) >= 300)
        for index, conversation in enumerate(conversations):
            expected = [text for _, text in messages[index::5]]
            await reader.until(lambda c=conversation, e=expected: texts(reader, f"conv:{c}") == e)


async def test_too_much_was_missed_and_the_app_pages_the_rest(
    sdk: Sdk, server: Served, relay: Relay, name: Name
) -> None:
    async with speaker(server, name("author")) as author, sdk.client(relay.url, name("reader")) as reader:
        quiet, busy = await author.create_many(2, name("reader"))
        await reader.connected()
        before = (await reader.until_one("subscribed", channel=f"conv:{busy}")).offset
        seen = await gone_offline(reader, relay)
        missed = [(busy, f"{number}") for number in range(MAX_MISSED + 1)]
        head = (await author.send_all(missed))[-1]
        await author.send(quiet, "still recovered")
        await eventually(lambda: summarised(author, busy, head))
        relay.restore()

        resumed = await reader.until_one("subscribed", channel=f"conv:{busy}", after=seen)
        assert (resumed.was_recovering, resumed.recovered, resumed.offset) == (True, False, head)
        assert resumed.data["head"]["offset"] == head
        await reader.until(lambda: texts(reader, f"conv:{quiet}") == ["still recovered"])
        assert (await reader.until_one("subscribed", channel=f"conv:{quiet}", after=seen)).recovered

        # What the documentation tells applications to do.
        page = await reader.rpc("history.page", conversation=busy, after=before, limit=200)
        assert [item["text"] for item in page["items"]] == [text for _, text in missed]
        await author.send(busy, "live")
        await reader.until(lambda: texts(reader, f"conv:{busy}"))
        assert texts(reader, f"conv:{busy}") == ["live"]
        assert reader.offsets(f"conv:{busy}") == [head + 1]


async def test_a_conversation_that_is_gone_ends_and_the_others_go_on(
    sdk: Sdk, server: Served, relay: Relay, name: Name
) -> None:
    async with speaker(server, name("author")) as author, sdk.client(relay.url, name("reader")) as reader:
        gone, kept = await author.create_many(2, name("reader"))
        await reader.connected()
        await reader.until(lambda: len(reader.of("subscribed", side="server")) == 3)
        seen = await gone_offline(reader, relay)
        await author.rpc("conversation.remove_member", conversation=gone, user=name("reader"))
        await author.send(gone, "not for the reader")
        await author.send(kept, "for the reader")
        relay.restore()
        ended = await reader.until_one("unsubscribed", after=seen)
        assert (ended.side, ended.channel) == ("server", f"conv:{gone}")
        await reader.until(lambda: texts(reader, f"conv:{kept}") == ["for the reader"])
        assert not reader.of("publication", channel=f"conv:{gone}")
        with pytest.raises(Refused) as refused:
            await reader.rpc("history.page", conversation=gone)
        assert refused.value.code == 103

        # And it stays away: the SDK has forgotten its position.
        seen = await gone_offline(reader, relay)
        relay.restore()
        await reader.until_one("subscribed", channel=f"conv:{kept}", after=seen)
        assert not reader.of("subscribed", channel=f"conv:{gone}", after=seen)


async def test_membership_that_changes_live_comes_and_goes_as_a_subscription(
    sdk: Sdk, server: Served, name: Name
) -> None:
    async with speaker(server, name("author")) as author, sdk.client(server.websocket_url, name("reader")) as reader:
        await reader.connected()
        own = f"user:{name('reader')}"
        conversation = await author.create()
        channel = f"conv:{conversation}"
        await author.send(conversation, "before")
        await author.rpc("conversation.add_members", conversation=conversation, members=[name("reader")])
        joined = await reader.until_one("subscribed", channel=channel)
        await reader.until(lambda: reader.offsets(channel))
        entry = next(one for one in reader.of("publication", channel=channel) if one.offset)
        assert (entry.data["type"], entry.offset) == ("member.joined", joined.offset + 1)
        await author.send(conversation, "welcome")
        await reader.until(lambda: texts(reader, channel) == ["welcome"])
        await author.rpc("conversation.remove_member", conversation=conversation, user=name("reader"))
        await reader.until_one("unsubscribed", channel=channel)
        await author.send(conversation, "after")
        await reader.until(lambda: len(reader.of("publication", channel=own)) >= 2)
        told = [one.data["type"] for one in reader.of("publication", channel=own)]
        assert told[0] == "conversation.joined"
        assert told[-1] == "conversation.removed"
        assert not [one for one in reader.of("publication", channel=own) if one.offset]
        assert texts(reader, channel) == ["welcome"]


async def test_typing_and_receipts_move_no_position(sdk: Sdk, server: Served, relay: Relay, name: Name) -> None:
    async with speaker(server, name("author")) as author, sdk.client(relay.url, name("reader")) as reader:
        conversation = await author.create(name("reader"))
        channel = f"conv:{conversation}"
        await reader.connected()
        start = (await reader.until_one("subscribed", channel=channel)).offset
        last = start
        for number in range(3):
            last = await author.send(conversation, f"seen {number}")
        await reader.until(lambda: reader.offsets(channel)[-1:] == [last])
        await author.rpc("typing.start", conversation=conversation)
        await reader.rpc("read.mark", conversation=conversation, offset=last)
        await reader.until(lambda: {"typing", "read"} <= {one.data["type"] for one in reader.of("publication")})
        ephemeral = [one for one in reader.of("publication", channel=channel) if one.data["type"] in ("typing", "read")]
        assert all(one.offset == 0 for one in ephemeral)

        seen = await gone_offline(reader, relay)
        await author.send(conversation, "missed 0")
        await author.send(conversation, "missed 1")
        relay.restore()
        await reader.until(lambda: len(reader.offsets(channel, after=seen)) >= 2)
        resumed = await reader.until_one("subscribed", channel=channel, after=seen)
        # Had one of them moved it, the SDK would have asked from another place.
        assert (resumed.recovered, resumed.offset) == (True, last)
        await author.send(conversation, "live")
        await reader.until(lambda: texts(reader, channel)[-1] == "live")
        assert reader.offsets(channel) == list(range(start + 1, start + 7))


async def test_a_clients_own_subscription_over_the_servers_gets_everything_once(
    sdk: Sdk, server: Served, relay: Relay, name: Name
) -> None:
    async with speaker(server, name("author")) as author, sdk.client(relay.url, name("reader")) as reader:
        conversation = await author.create(name("reader"))
        channel = f"conv:{conversation}"
        await reader.connected()
        await reader.until_one("subscribed", channel=channel, side="server")
        await author.send(conversation, "to the server's")
        await reader.until(lambda: texts(reader, channel, side="server") == ["to the server's"])

        own = await reader.subscribed(channel)
        assert (own.recoverable, own.positioned) == (True, True)
        await author.send(conversation, "to the client's")
        await reader.until(lambda: texts(reader, channel, side="client") == ["to the client's"])
        assert texts(reader, channel, side="server") == ["to the server's"]

        seen = await gone_offline(reader, relay)
        await author.send(conversation, "missed")
        relay.restore()
        await reader.until_one("subscribed", channel=channel, side="client", after=seen)
        await author.send(conversation, "live again")
        await reader.until(lambda: len(texts(reader, channel, side="client")) >= 3)
        assert texts(reader, channel, side="client") == ["to the client's", "missed", "live again"]

        await reader.unsubscribe(channel)
        await author.send(conversation, "given back")
        await reader.until(lambda: texts(reader, channel, side="server")[-1] == "given back")
        assert len(texts(reader, channel, side="client")) == 3


async def test_an_app_that_starts_with_positions_of_its_own_resumes_each_by_a_subscription(
    sdk: Sdk, server: Served, name: Name
) -> None:
    async with speaker(server, name("author")) as author:
        conversation = await author.create(name("reader"))
        channel = f"conv:{conversation}"
        offsets = await author.send_all((conversation, f"{number}") for number in range(30))
        async with sdk.client(server.websocket_url, name("reader"), data={"conversations": "none"}) as reader:
            await reader.connected()
            epoch = (await reader.rpc("sync"))["epoch"]

            async def stored() -> Position:
                return Position(offsets[9], epoch)

            resumed = await reader.subscribed(channel, SubscribeOptions(get_state=stored))
            assert (resumed.was_recovering, resumed.recovered) == (True, True)
            await reader.until(lambda: len(texts(reader, channel)) >= 20)
            await author.send(conversation, "live")
            await reader.until(lambda: texts(reader, channel)[-1] == "live")
            assert texts(reader, channel) == [*(f"{number}" for number in range(10, 30)), "live"]
            assert {one.channel for one in reader.of("subscribed", side="server")} == {f"user:{name('reader')}"}


async def test_nobody_subscribes_to_what_is_not_theirs(sdk: Sdk, server: Served, name: Name) -> None:
    async with speaker(server, name("author")) as author, sdk.client(server.websocket_url, name("reader")) as reader:
        conversation = await author.create()
        await reader.connected()
        for channel in (f"conv:{conversation}", "conv:00000000000000000000000000", f"user:{name('author')}"):
            await reader.subscribe(channel)
            refused = await reader.until_one("unsubscribed", channel=channel)
            assert refused.code == 103
        with pytest.raises(Refused) as error:
            await reader.rpc("message.send", conversation=conversation, idempotency_key="k", text="let me in")
        assert error.value.code == 103
        with pytest.raises(Refused) as error:
            await reader.rpc("message.sent")
        assert error.value.code == 108
        assert "message.sent" in error.value.message
