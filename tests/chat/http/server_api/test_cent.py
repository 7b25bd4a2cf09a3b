"""The unmodified `cent` client against the server API."""

from collections.abc import AsyncIterator

import cent
import pytest
import pytest_asyncio

from support.app import API_KEY
from support.waiting import eventually
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def client(app) -> AsyncIterator[cent.AsyncClient]:
    async with cent.AsyncClient(f"{app.http}/api", api_key=API_KEY) as client:
        yield client


async def test_the_key_is_needed(app):
    for key in ("", "wrong", API_KEY + "x", "é"):
        async with cent.AsyncClient(f"{app.http}/api", api_key=key) as client:
            with pytest.raises(cent.CentUnauthorizedError):
                await client.info(cent.InfoRequest())


async def test_publish_tells_the_position(client):
    first = await client.publish(cent.PublishRequest(channel="news:a", data={"n": 1}))
    second = await client.publish(cent.PublishRequest(channel="news:a", data={"n": 2}))
    assert (first.offset, second.offset) == (1, 2)
    assert first.epoch == second.epoch != ""


async def test_publish_without_history_has_no_position(client):
    result = await client.publish(cent.PublishRequest(channel="plain:a", data="x"))
    assert (result.offset, result.epoch) == (0, "")
    skipped = await client.publish(cent.PublishRequest(channel="news:skip", data="x", skip_history=True))
    assert skipped.offset == 0


async def test_a_publication_with_everything_arrives(app, client):
    async with wire_client(app.websocket) as anna:
        await anna.connect(app.token("anna"))
        await anna.call(subscribe={"channel": "news:tags"})
        await client.publish(cent.PublishRequest(channel="news:tags", data={"a": [1, None]}, tags={"k": "v"}))
        await anna.until(lambda: anna.publications("news:tags"))
        (publication,) = anna.publications("news:tags")
    assert (publication["data"], publication["tags"], publication["offset"]) == ({"a": [1, None]}, {"k": "v"}, 1)


@pytest.mark.parametrize("channel", ["news:once", "loose:once", "plain:once"])
async def test_an_idempotency_key_publishes_once(app, client, channel):
    async with wire_client(app.websocket) as anna:
        await anna.connect(app.token("anna"))
        await client.subscribe(cent.SubscribeRequest(user="anna", channel=channel))
        await anna.until(lambda: any("subscribe" in push for push in anna.pushes))
        request = cent.PublishRequest(channel=channel, data="once", idempotency_key="k1")
        results = [await client.publish(request) for _ in range(3)]
        await client.publish(cent.PublishRequest(channel=channel, data="end"))
        await anna.until(lambda: "end" in [one["data"] for one in anna.publications(channel)])
        assert [one["data"] for one in anna.publications(channel)] == ["once", "end"]
    assert results[0] == results[1] == results[2]


async def test_binary_data_must_be_json(client):
    result = await client.publish(cent.PublishRequest(channel="news:b64", data=None, b64data="eyJhIjoxfQ=="))
    assert result.offset == 1
    history = await client.history(cent.HistoryRequest(channel="news:b64", limit=1))
    assert history.publications[0].data == {"a": 1}
    for wrong in ("AAEC", "not base64!", "e30=x"):
        with pytest.raises(cent.CentApiResponseError) as raised:
            await client.publish(cent.PublishRequest(channel="news:b64", data=None, b64data=wrong))
        assert raised.value.code == 107


async def test_an_unknown_namespace_is_102(client):
    requests = (
        client.publish(cent.PublishRequest(channel="undefined:channel", data={})),
        client.subscribe(cent.SubscribeRequest(user="anna", channel="undefined:channel")),
        client.presence(cent.PresenceRequest(channel="undefined:channel")),
        client.presence_stats(cent.PresenceStatsRequest(channel="undefined:channel")),
        client.history(cent.HistoryRequest(channel="undefined:channel")),
        client.history_remove(cent.HistoryRemoveRequest(channel="undefined:channel")),
    )
    for request in requests:
        with pytest.raises(cent.CentApiResponseError) as raised:
            await request
        assert raised.value.code == 102


async def test_what_a_channel_does_not_keep_is_108(client):
    requests = (
        client.history(cent.HistoryRequest(channel="plain:a")),
        client.history_remove(cent.HistoryRemoveRequest(channel="plain:a")),
        client.presence(cent.PresenceRequest(channel="plain:a")),
        client.presence_stats(cent.PresenceStatsRequest(channel="plain:a")),
    )
    for request in requests:
        with pytest.raises(cent.CentApiResponseError) as raised:
            await request
        assert raised.value.code == 108


async def test_broadcast_answers_for_each_channel(client):
    result = await client.broadcast(cent.BroadcastRequest(channels=["news:x", "undefined:y", "plain:z"], data={}))
    first, second, third = result.responses
    assert first.result is not None
    assert first.result.offset == 1
    assert second.error is not None
    assert second.error.code == 102
    assert third.result is not None


async def test_history_pages_both_ways(client):
    for number in range(1, 6):
        await client.publish(cent.PublishRequest(channel="news:history", data=number))

    async def data(**fields: object) -> list[object]:
        history = await client.history(cent.HistoryRequest(channel="news:history", **fields))
        assert history.offset == 5
        return [one.data for one in history.publications]

    epoch = (await client.history(cent.HistoryRequest(channel="news:history"))).epoch
    assert await data() == []
    assert await data(limit=-1) == [1, 2, 3, 4, 5]
    assert await data(limit=2) == [1, 2]
    assert await data(limit=2, reverse=True) == [5, 4]
    assert await data(limit=2, since=cent.StreamPosition(offset=3, epoch=epoch)) == [4, 5]
    assert await data(limit=2, reverse=True, since=cent.StreamPosition(offset=3, epoch=epoch)) == [2, 1]
    with pytest.raises(cent.CentApiResponseError) as raised:
        await data(limit=1, since=cent.StreamPosition(offset=3, epoch="other"))
    assert raised.value.code == 112


async def test_history_remove_keeps_the_position(client):
    before = await client.publish(cent.PublishRequest(channel="news:remove", data=1))
    await client.history_remove(cent.HistoryRemoveRequest(channel="news:remove"))
    history = await client.history(cent.HistoryRequest(channel="news:remove", limit=-1))
    assert (history.publications, history.offset, history.epoch) == ([], before.offset, before.epoch)


async def test_presence_lists_who_is_there(app, client):
    async with wire_client(app.websocket) as anna:
        client_id = (await anna.connect(app.token("anna", info={"name": "Anna"})))["client"]
        await anna.call(subscribe={"channel": "news:presence"})
        presence = await client.presence(cent.PresenceRequest(channel="news:presence"))
        stats = await client.presence_stats(cent.PresenceStatsRequest(channel="news:presence"))
    assert list(presence.presence) == [client_id]
    assert presence.presence[client_id].user == "anna"
    assert presence.presence[client_id].conn_info == {"name": "Anna"}
    assert (stats.num_clients, stats.num_users) == (1, 1)

    async def empty() -> bool:
        stats = await client.presence_stats(cent.PresenceStatsRequest(channel="news:presence"))
        return stats.num_clients == 0

    await eventually(empty)


async def test_users_that_are_not_there_are_no_error(client):
    assert await client.subscribe(cent.SubscribeRequest(user="absent", channel="news:a")) is not None
    assert await client.unsubscribe(cent.UnsubscribeRequest(user="absent", channel="news:a")) is not None
    assert await client.disconnect(cent.DisconnectRequest(user="absent")) is not None
    assert await client.refresh(cent.RefreshRequest(user="absent")) is not None


async def test_subscribe_and_unsubscribe_live_sessions(app, client):
    async with wire_client(app.websocket) as berta:
        await berta.connect(app.token("berta"))
        override = cent.ChannelOptionsOverride(
            presence=cent.BoolValue(value=True), force_recovery=cent.BoolValue(value=True)
        )
        await client.subscribe(
            cent.SubscribeRequest(user="berta", channel="loose:own", data={"hi": 1}, info={"x": 1}, override=override)
        )
        await berta.until(lambda: any("subscribe" in push for push in berta.pushes))
        (push,) = [push["subscribe"] for push in berta.pushes if "subscribe" in push]
        assert (push["data"], push["recoverable"], push["positioned"]) == ({"hi": 1}, True, True)
        await client.publish(cent.PublishRequest(channel="loose:own", data=1))
        await berta.until(lambda: berta.publications("loose:own"))
        await client.unsubscribe(cent.UnsubscribeRequest(user="berta", channel="loose:own"))
        await berta.until(lambda: any("unsubscribe" in push for push in berta.pushes))
        (ended,) = [push["unsubscribe"] for push in berta.pushes if "unsubscribe" in push]
        assert ended["code"] == 2000


async def test_subscribe_recovers_since_a_position(app, client):
    for number in range(1, 5):
        result = await client.publish(cent.PublishRequest(channel="news:since", data=number))
    async with wire_client(app.websocket) as berta:
        await berta.connect(app.token("berta"))
        since = cent.StreamPosition(offset=2, epoch=result.epoch)
        await client.subscribe(cent.SubscribeRequest(user="berta", channel="news:since", recover_since=since))
        await berta.until(lambda: len(berta.publications("news:since")) == 2)
        assert [one["data"] for one in berta.publications("news:since")] == [3, 4]


async def test_one_client_of_a_user_can_be_meant(app, client):
    async with wire_client(app.websocket) as one, wire_client(app.websocket) as other:
        one_id = (await one.connect(app.token("clara")))["client"]
        await other.connect(app.token("clara"))
        await client.disconnect(cent.DisconnectRequest(user="clara", client=one_id))
        assert await one.closed() == 3503
        assert (await other.call(rpc={"method": "presence.get", "data": {"users": ["clara"]}})) is not None
        other_id = next(iter(app.running.process.engine.hub.users["clara"])).client
        disconnect = cent.Disconnect(code=4321, reason="go")
        await client.disconnect(cent.DisconnectRequest(user="clara", whitelist=[other_id], disconnect=disconnect))
        await client.disconnect(cent.DisconnectRequest(user="clara", session=other_id, disconnect=disconnect))
        assert await other.closed() == 4321


async def test_refresh_ends_and_sets_expiry(app, client):
    async with wire_client(app.websocket) as dora:
        await dora.connect(app.token("dora"))
        await client.refresh(cent.RefreshRequest(user="dora", expired=True))
        assert await dora.closed() == 3005
    async with wire_client(app.websocket) as dora:
        await dora.connect(app.token("dora"))
        await client.refresh(cent.RefreshRequest(user="dora", expire_at=1))
        assert await dora.closed() == 3005


async def test_channels_and_info_tell_of_everything_live(app, client):
    async with wire_client(app.websocket) as emil:
        await emil.connect(app.token("emil"))
        await emil.call(subscribe={"channel": "news:listed"})
        found = await client.channels(cent.ChannelsRequest(pattern="news:l*"))
        assert {name: one.num_clients for name, one in found.channels.items()} == {"news:listed": 1}
        assert "user:emil" in (await client.channels(cent.ChannelsRequest())).channels
        assert (await client.channels(cent.ChannelsRequest(pattern="{a,b}"))).channels == {}
        (node,) = (await client.info(cent.InfoRequest())).nodes
    assert node.uid
    assert node.name
    assert node.version
    assert (node.num_clients, node.num_users, node.num_subs, node.num_channels) == (1, 1, 2, 2)


@pytest.mark.parametrize("parallel", [False, True])
async def test_a_batch_answers_in_order(client, parallel):
    channel = f"news:batch-{parallel}"
    result = await client.batch(
        cent.BatchRequest(
            requests=[
                cent.PublishRequest(channel=channel, data=1),
                cent.BroadcastRequest(channels=[channel], data=2),
                cent.PresenceStatsRequest(channel=channel),
                cent.InfoRequest(),
            ],
            parallel=parallel,
        )
    )
    published, broadcast, stats, info = result.replies
    assert published.offset in (1, 2)
    assert broadcast.responses[0].result.offset in (1, 2)
    assert stats.num_clients == 0
    assert info.nodes
