"""Channels for application events as the SDKs see them: both kinds of subscriptions, presence, history, recovery."""

from collections.abc import Callable

import cent
import pytest
from cent import PublishRequest, SubscribeRequest, UnsubscribeRequest

from conformance.harness.clients import Position, Refused, SubscribeOptions
from conformance.harness.relay import Relay
from conformance.harness.sdks import Sdk
from conformance.harness.server import Served
from conformance.harness.tokens import connection_token, subscription_token
from support.waiting import eventually

Name = Callable[[str], str]
HISTORY_SIZE = 20
"""Of `room:` in chat.toml."""


async def test_subscribers_see_who_is_there_who_comes_and_who_goes(sdk: Sdk, server: Served, name: Name) -> None:
    room, ada, ben = name("room:r"), name("ada"), name("ben")

    async def ben_with_info() -> str:
        return connection_token(ben, info={"nick": "B"})

    async with (
        sdk.client(server.websocket_url, ada) as watching,
        sdk.client(server.websocket_url, ben, get_token=ben_with_info) as coming,
    ):
        await watching.connected()
        await watching.subscribed(room)
        hello = await coming.connected()
        await coming.subscribed(room)
        await watching.until(lambda: [one.info["user"] for one in watching.of("join", channel=room)] == [ada, ben])
        assert watching.of("join", channel=room)[-1].info["connInfo"] == {"nick": "B"}

        people = await watching.presence(room)
        assert sorted(person["user"] for person in people.values()) == [ada, ben]
        assert people[hello.client]["connInfo"] == {"nick": "B"}
        assert await watching.presence_stats(room) == {"num_clients": 2, "num_users": 2}

        await coming.unsubscribe(room)
        left = await watching.until_one("leave", channel=room)
        assert (left.info["user"], left.info["client"]) == (ben, hello.client)

        async def ben_is_gone() -> bool:
            return await watching.presence_stats(room) == {"num_clients": 1, "num_users": 1}

        # Others are told at once, presence a moment later.
        await eventually(ben_is_gone)


async def test_a_vanished_subscriber_has_left(sdk: Sdk, server: Served, relay: Relay, name: Name) -> None:
    room = name("room:r")
    async with (
        sdk.client(server.websocket_url, name("ada")) as watching,
        sdk.client(relay.url, name("ben")) as vanishing,
    ):
        await watching.connected()
        await watching.subscribed(room)
        await vanishing.connected()
        await vanishing.subscribed(room)
        relay.cut(offline=True)
        left = await watching.until_one("leave", channel=room)
        assert left.info["user"] == name("ben")
        relay.restore()
        await watching.until(lambda: len(watching.of("join", channel=room)) == 3)


async def test_what_subscribers_publish_reaches_everyone_and_stays_in_the_history(
    sdk: Sdk, server: Served, name: Name
) -> None:
    room = name("room:r")
    async with (
        sdk.client(server.websocket_url, name("ada")) as ada,
        sdk.client(server.websocket_url, name("ben")) as ben,
    ):
        for client in (ada, ben):
            await client.connected()
            await client.subscribed(room)
        for number in range(5):
            await (ada, ben)[number % 2].publish(room, {"n": number, "text": "héllo \n 世界 🎈"})
        for client in (ada, ben):
            await client.until(lambda client=client: client.offsets(room) == [1, 2, 3, 4, 5])
            published = client.of("publication", channel=room)
            assert [one.data["n"] for one in published] == list(range(5))
            assert published[0].data["text"] == "héllo \n 世界 🎈"
            assert [one.info["user"] for one in published[:2]] == [name("ada"), name("ben")]

        page = await ada.history(room, limit=2)
        assert [one["offset"] for one in page["publications"]] == [1, 2]
        assert page["offset"] == 5
        page = await ada.history(room, limit=2, since=Position(2, page["epoch"]))
        assert [one["data"]["n"] for one in page["publications"]] == [2, 3]
        page = await ada.history(room, limit=2, reverse=True)
        assert [one["offset"] for one in page["publications"]] == [5, 4]
        assert (await ada.history(room))["publications"] == []


async def test_only_subscribers_may_publish_and_read(sdk: Sdk, server: Served, name: Name) -> None:
    room = name("room:r")
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        for refused in (ada.publish(room, 1), ada.presence(room), ada.history(room, limit=1)):
            with pytest.raises(Refused) as error:
                await refused
            assert error.value.code == 103
            assert "subscribers" in error.value.message
        with pytest.raises(Refused) as error:
            await ada.presence_stats(name("nowhere:x"))
        assert error.value.code == 102


async def test_what_was_missed_is_recovered_in_order_and_once(
    sdk: Sdk, server: Served, relay: Relay, name: Name, api: cent.AsyncClient
) -> None:
    room = name("room:r")
    async with sdk.client(relay.url, name("ada")) as ada:
        await ada.connected()
        await ada.subscribed(room)
        await api.publish(PublishRequest(channel=room, data=1))
        await ada.until(lambda: ada.offsets(room) == [1])
        relay.cut(offline=True)
        await ada.until_one("subscribing", channel=room, after=len(ada.happened) - 1)
        for number in range(2, HISTORY_SIZE + 2):
            await api.publish(PublishRequest(channel=room, data=number))
        relay.restore()
        await ada.until(lambda: len(ada.offsets(room)) == HISTORY_SIZE + 1)
        await api.publish(PublishRequest(channel=room, data=HISTORY_SIZE + 2, tags={"last": "yes"}))
        await ada.until(lambda: ada.of("publication", channel=room)[-1].tags)
        assert ada.offsets(room) == list(range(1, HISTORY_SIZE + 3))
        assert [one.data for one in ada.of("publication", channel=room)] == ada.offsets(room)
        again = ada.of("subscribed", channel=room)[-1]
        assert (again.was_recovering, again.recovered) == (True, True)


async def test_more_was_missed_than_is_kept_and_the_sdk_is_told(
    sdk: Sdk, relay: Relay, name: Name, api: cent.AsyncClient
) -> None:
    room, last = name("room:r"), HISTORY_SIZE + 2
    async with sdk.client(relay.url, name("ada")) as ada:
        await ada.connected()
        await ada.subscribed(room)
        await api.publish(PublishRequest(channel=room, data=1))
        await ada.until(lambda: ada.offsets(room) == [1])
        relay.cut(offline=True)
        await ada.until_one("subscribing", channel=room, after=len(ada.happened) - 1)
        for number in range(2, last + 1):
            await api.publish(PublishRequest(channel=room, data=number))
        relay.restore()
        await ada.until(lambda: len(ada.of("subscribed", channel=room)) == 2)
        again = ada.of("subscribed", channel=room)[-1]
        assert (again.was_recovering, again.recovered, again.offset) == (True, False, last)
        await api.publish(PublishRequest(channel=room, data="live"))
        await ada.until(lambda: ada.offsets(room)[-1] == last + 1)
        assert ada.offsets(room) == [1, last + 1]


async def test_state_is_asked_for_again_when_its_position_is_gone(
    sdk: Sdk, relay: Relay, name: Name, api: cent.AsyncClient
) -> None:
    room, asked = name("room:r"), []

    async def state() -> Position:
        page = await api.history(cent.HistoryRequest(channel=room, limit=0))
        asked.append(page.offset)
        return Position(page.offset, page.epoch)

    async with sdk.client(relay.url, name("ada")) as ada:
        await ada.connected()
        await ada.subscribed(room, SubscribeOptions(get_state=state))
        relay.cut(offline=True)
        await ada.until_one("subscribing", channel=room, after=len(ada.happened) - 1)
        for number in range(HISTORY_SIZE + 1):
            await api.publish(PublishRequest(channel=room, data=number))
        relay.restore()
        await ada.until(lambda: len(ada.of("subscribed", channel=room)) == 2)
        assert asked == [0, HISTORY_SIZE + 1]
        assert ada.offsets(room) == []


async def test_a_subscription_token_opens_a_channel_and_a_forged_one_does_not(
    sdk: Sdk, server: Served, name: Name
) -> None:
    alert, ada = name("alert:a"), name("ada")

    async def good(channel: str) -> str:
        return subscription_token(ada, channel, info={"seat": 7})

    async def forged(channel: str) -> str:
        return subscription_token(ada, channel) + "x"

    async with sdk.client(server.websocket_url, ada) as client:
        await client.connected()
        subscribed = await client.subscribed(alert, SubscribeOptions(get_token=good))
        assert (subscribed.recoverable, subscribed.positioned) == (False, False)
        for channel, options in ((f"{alert}1", None), (f"{alert}2", SubscribeOptions(get_token=forged))):
            await client.subscribe(channel, options)
            refused = await client.until_one("unsubscribed", channel=channel)
            assert refused.code == 103
        assert not client.of("disconnected")


async def test_an_expired_subscription_token_is_fetched_anew(sdk: Sdk, server: Served, name: Name) -> None:
    asked = []

    async def get_token(channel: str) -> str:
        asked.append(channel)
        return subscription_token(name("ada"), channel, ttl_s=-10 if len(asked) == 1 else 600)

    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        await ada.subscribed(name("alert:a"), SubscribeOptions(get_token=get_token))
        assert len(asked) == 2
        assert len(ada.of("connected")) == 1


async def test_a_channel_without_history_delivers_and_remembers_nothing(
    sdk: Sdk, relay: Relay, name: Name, api: cent.AsyncClient
) -> None:
    alert = name("alert:a")

    async def get_token(channel: str) -> str:
        return subscription_token(name("ada"), channel)

    async with sdk.client(relay.url, name("ada")) as ada:
        await ada.connected()
        await ada.subscribed(alert, SubscribeOptions(get_token=get_token))
        published = await api.publish(PublishRequest(channel=alert, data="before"))
        assert (published.offset, published.epoch) == (0, "")
        await ada.until_one("publication", channel=alert)
        relay.cut(offline=True)
        await ada.until_one("subscribing", channel=alert, after=len(ada.happened) - 1)
        await api.publish(PublishRequest(channel=alert, data="meanwhile"))
        relay.restore()
        await ada.until(lambda: len(ada.of("subscribed", channel=alert)) == 2)
        await api.publish(PublishRequest(channel=alert, data="after"))
        await ada.until(lambda: len(ada.of("publication", channel=alert)) == 2)
        assert [one.data for one in ada.of("publication", channel=alert)] == ["before", "after"]


async def test_the_application_subscribes_a_connected_user(
    sdk: Sdk, server: Served, name: Name, api: cent.AsyncClient
) -> None:
    room = name("room:r")
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        await api.subscribe(SubscribeRequest(user=name("ada"), channel=room, data={"hello": 1}, info={"seat": 7}))
        subscribed = await ada.until_one("subscribed", channel=room)
        assert (subscribed.side, subscribed.data, subscribed.recoverable) == ("server", {"hello": 1}, True)
        assert (await ada.until_one("join", channel=room)).info["chanInfo"] == {"seat": 7}
        await api.publish(PublishRequest(channel=room, data="x"))
        assert (await ada.until_one("publication", channel=room)).offset == 1
        await api.unsubscribe(UnsubscribeRequest(user=name("ada"), channel=room))
        assert (await ada.until_one("unsubscribed", channel=room)).side == "server"
        await api.publish(PublishRequest(channel=room, data="y"))
        with pytest.raises(Refused):
            await ada.presence(room)
        assert ada.offsets(room) == [1]


async def test_the_application_ends_a_clients_own_subscription(
    sdk: Sdk, server: Served, name: Name, api: cent.AsyncClient
) -> None:
    room = name("room:r")
    async with sdk.client(server.websocket_url, name("ada")) as ada:
        await ada.connected()
        await ada.subscribed(room)
        await api.unsubscribe(UnsubscribeRequest(user=name("ada"), channel=room))
        ended = await ada.until_one("unsubscribed", channel=room)
        assert (ended.side, ended.code) == ("client", 2000)
        assert ended.reason
