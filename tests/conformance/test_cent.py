"""`cent`, the official client of Centrifugo's server API, unmodified against ours."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cent
import pytest
from cent import (
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    CentTransportError,
    CentUnauthorizedError,
    ChannelOptionsOverride,
    ChannelsRequest,
    Disconnect,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)
from cent.dto import BoolValue

from conformance.harness.server import Served
from conformance.harness.speaker import speaker
from conformance.harness.tokens import connection_token
from support.wire_client import WireClient, wire_client

Name = Callable[[str], str]


@contextmanager
def refused(code: int) -> Iterator[None]:
    """The block is answered with this error, in words."""
    with pytest.raises(CentApiResponseError) as error:
        yield
    assert error.value.code == code
    assert error.value.message


async def signed_in(client: WireClient, user: str) -> WireClient:
    connected = await client.connect(connection_token(user))
    assert connected["client"]
    return client


async def test_publish_gives_each_publication_its_place(api: cent.AsyncClient, name: Name) -> None:
    room = name("room:r")
    first = await api.publish(PublishRequest(channel=room, data={"n": 1}))
    second = await api.publish(PublishRequest(channel=room, data={"n": 2}, tags={"kind": "x"}))
    assert (first.offset, second.offset) == (1, 2)
    assert first.epoch == second.epoch != ""
    page = await api.history(HistoryRequest(channel=room, limit=-1))
    assert [(one.offset, one.data, one.tags) for one in page.publications] == [
        (1, {"n": 1}, None),
        (2, {"n": 2}, {"kind": "x"}),
    ]
    assert (page.offset, page.epoch) == (2, first.epoch)


async def test_publish_without_history_or_where_none_is_kept_has_no_place(api: cent.AsyncClient, name: Name) -> None:
    skipped = await api.publish(PublishRequest(channel=name("room:r"), data=1, skip_history=True))
    unkept = await api.publish(PublishRequest(channel=name("alert:a"), data=1))
    for published in (skipped, unkept):
        assert (published.offset, published.epoch) == (0, "")
    assert (await api.history(HistoryRequest(channel=name("room:r"), limit=-1))).publications == []


async def test_a_publish_with_a_key_happens_once(api: cent.AsyncClient, server: Served, name: Name) -> None:
    room, alert = name("room:r"), name("alert:a")
    async with wire_client(server.websocket_url) as client:
        await signed_in(client, name("ada"))
        for channel in (room, alert):
            await api.subscribe(SubscribeRequest(user=name("ada"), channel=channel))
            await client.until(lambda channel=channel: any(push["channel"] == channel for push in client.pushes))
            once = PublishRequest(channel=channel, data="once", idempotency_key="k1")
            answers = await asyncio.gather(*(api.publish(once) for _ in range(20)))
            assert len({(answer.offset, answer.epoch) for answer in answers}) == 1
            await api.publish(PublishRequest(channel=channel, data="twice", idempotency_key="k2"))
            await client.until(lambda channel=channel: len(client.publications(channel)) >= 2)
            assert [one["data"] for one in client.publications(channel)] == ["once", "twice"]


async def test_broadcast_answers_for_every_channel(api: cent.AsyncClient, name: Name) -> None:
    channels = [name("room:1"), name("nowhere:2"), name("room:3")]
    result = await api.broadcast(BroadcastRequest(channels=channels, data={"to": "all"}))
    first, second, third = result.responses
    assert first.result is not None
    assert third.result is not None
    assert (first.result.offset, third.result.offset) == (1, 1)
    assert second.result is None
    assert second.error is not None
    assert second.error.code == 102


async def test_history_pages_forth_and_back_and_is_removed(api: cent.AsyncClient, name: Name) -> None:
    room = name("room:r")
    for number in range(1, 6):
        await api.publish(PublishRequest(channel=room, data=number))
    top = await api.history(HistoryRequest(channel=room))
    assert (top.publications, top.offset) == ([], 5)
    since = StreamPosition(offset=2, epoch=top.epoch)
    page = await api.history(HistoryRequest(channel=room, limit=2, since=since))
    assert [one.data for one in page.publications] == [3, 4]
    page = await api.history(HistoryRequest(channel=room, limit=2, reverse=True))
    assert [one.data for one in page.publications] == [5, 4]
    with refused(112):
        await api.history(HistoryRequest(channel=room, limit=2, since=StreamPosition(offset=2, epoch="another")))
    await api.history_remove(HistoryRemoveRequest(channel=room))
    page = await api.history(HistoryRequest(channel=room, limit=-1))
    assert (page.publications, page.offset, page.epoch) == ([], 5, top.epoch)


async def test_presence_tells_clients_and_counts(api: cent.AsyncClient, server: Served, name: Name) -> None:
    room = name("room:r")
    assert (await api.presence(PresenceRequest(channel=room))).presence == {}
    stats = await api.presence_stats(PresenceStatsRequest(channel=room))
    assert (stats.num_clients, stats.num_users) == (0, 0)
    async with wire_client(server.websocket_url) as phone, wire_client(server.websocket_url) as laptop:
        for client in (phone, laptop):
            await signed_in(client, name("ada"))
            await client.call(subscribe={"channel": room})
        people = (await api.presence(PresenceRequest(channel=room))).presence
        assert len(people) == 2
        assert all(info.user == name("ada") and info.client == client for client, info in people.items())
        stats = await api.presence_stats(PresenceStatsRequest(channel=room))
        assert (stats.num_clients, stats.num_users) == (2, 1)


async def test_subscribe_and_unsubscribe_live_sessions(api: cent.AsyncClient, server: Served, name: Name) -> None:
    room = name("room:r")
    published = await api.publish(PublishRequest(channel=room, data="before"))
    async with wire_client(server.websocket_url) as client:
        await signed_in(client, name("ada"))
        await api.subscribe(
            SubscribeRequest(
                user=name("ada"),
                channel=room,
                data={"hello": 1},
                recover_since=StreamPosition(offset=0, epoch=published.epoch),
                override=ChannelOptionsOverride(presence=BoolValue(value=False)),
            )
        )
        await client.until(lambda: client.publications(room))
        subscribed = next(push["subscribe"] for push in client.pushes if "subscribe" in push)
        assert subscribed["data"] == {"hello": 1}
        assert [one["data"] for one in client.publications(room)] == ["before"]
        assert (await api.presence(PresenceRequest(channel=room))).presence == {}
        await api.unsubscribe(UnsubscribeRequest(user=name("ada"), channel=room))
        await client.until(lambda: any("unsubscribe" in push for push in client.pushes))


async def test_disconnect_and_refresh_reach_live_sessions(api: cent.AsyncClient, server: Served, name: Name) -> None:
    async with wire_client(server.websocket_url) as one, wire_client(server.websocket_url) as other:
        await signed_in(one, name("ada"))
        await signed_in(other, name("ben"))
        await api.disconnect(DisconnectRequest(user=name("ada"), disconnect=Disconnect(code=4321, reason="because")))
        assert await one.closed() == 4321
        await api.refresh(RefreshRequest(user=name("ben"), expired=True))
        assert await other.closed() == 3005


async def test_who_is_not_there_is_no_error(api: cent.AsyncClient, name: Name) -> None:
    user, room = name("nobody"), name("room:r")
    await api.subscribe(SubscribeRequest(user=user, channel=room))
    await api.unsubscribe(UnsubscribeRequest(user=user, channel=room))
    await api.disconnect(DisconnectRequest(user=user))
    await api.refresh(RefreshRequest(user=user, expire_at=2_000_000_000))


async def test_channels_and_info_tell_what_is_held(api: cent.AsyncClient, server: Served, name: Name) -> None:
    async with wire_client(server.websocket_url) as client:
        await signed_in(client, name("ada"))
        for channel in (name("room:one"), name("room:two")):
            await client.call(subscribe={"channel": channel})
        suffix = name("")
        found = (await api.channels(ChannelsRequest(pattern=f"room:*{suffix}"))).channels
        assert {channel: info.num_clients for channel, info in found.items()} == {
            name("room:one"): 1,
            name("room:two"): 1,
        }
        assert (await api.channels(ChannelsRequest())).channels.keys() >= found.keys()
        (node,) = (await api.info(InfoRequest())).nodes
        assert node.uid
        assert node.version
        assert node.num_clients >= 1
        assert node.num_users >= 1
        assert node.num_subs >= 2
        assert node.num_channels >= 2


@pytest.mark.parametrize("parallel", [False, True])
async def test_batch_answers_in_order(api: cent.AsyncClient, name: Name, parallel: bool) -> None:
    room = name("room:r")
    commands = [
        PublishRequest(channel=room, data=1),
        BroadcastRequest(channels=[name("room:a"), name("room:b")], data=2),
        HistoryRequest(channel=name("room:none"), limit=1),
        PresenceStatsRequest(channel=room),
    ]
    replies = (await api.batch(BatchRequest(requests=commands, parallel=parallel))).replies
    assert [type(reply) for reply in replies] == [
        cent.PublishResult,
        cent.BroadcastResult,
        cent.HistoryResult,
        cent.PresenceStatsResult,
    ]
    assert replies[0].offset == 1


async def test_a_wrong_key_is_unauthorized(server: Served, name: Name) -> None:
    for key in ("wrong", ""):
        client = cent.AsyncClient(f"{server.http_url}/api", key)
        with pytest.raises(CentUnauthorizedError):
            await client.publish(PublishRequest(channel=name("room:r"), data=1))
        await client._session.close()


async def test_errors_are_told_by_their_codes(api: cent.AsyncClient, name: Name) -> None:
    unknown = name("undefined:channel")
    for request in (
        api.publish(PublishRequest(channel=unknown, data=1)),
        api.history(HistoryRequest(channel=unknown)),
        api.history_remove(HistoryRemoveRequest(channel=unknown)),
        api.presence(PresenceRequest(channel=unknown)),
        api.presence_stats(PresenceStatsRequest(channel=unknown)),
        api.subscribe(SubscribeRequest(user=name("ada"), channel=unknown)),
        api.unsubscribe(UnsubscribeRequest(user=name("ada"), channel=unknown)),
    ):
        with refused(102):
            await request
    for request in (
        api.history(HistoryRequest(channel=name("alert:a"))),
        api.presence(PresenceRequest(channel=name("alert:a"))),
        api.presence_stats(PresenceStatsRequest(channel=name("alert:a"))),
    ):
        with refused(108):
            await request
    with refused(107):
        await api.publish(PublishRequest(channel="", data=1))
    with refused(107):
        await api.disconnect(DisconnectRequest(user=name("ada"), disconnect=Disconnect(code=99, reason="no such code")))


async def test_a_path_that_is_not_there_is_no_result(server: Served, name: Name) -> None:
    client = cent.AsyncClient(f"{server.http_url}/nowhere", "conformance-api-key")
    with pytest.raises(CentTransportError) as error:
        await client.publish(PublishRequest(channel=name("room:r"), data=1))
    assert error.value.status_code == 404
    await client._session.close()


async def test_conversations_take_messages_and_give_their_log(
    api: cent.AsyncClient, server: Served, name: Name
) -> None:
    async with speaker(server, name("ada")) as ada:
        conversation = await ada.create()
        channel = f"conv:{conversation}"
        message = {"sender": name("ada"), "text": "from the application"}
        sent = await api.publish(PublishRequest(channel=channel, data=message, idempotency_key="k1"))
        again = await api.publish(PublishRequest(channel=channel, data=message, idempotency_key="k1"))
        assert sent == again
        log = await api.history(HistoryRequest(channel=channel, limit=-1))
        assert (log.offset, log.epoch) == (sent.offset, sent.epoch)
        assert log.publications[-1].data["message"]["text"] == "from the application"
        with refused(103):
            await api.publish(PublishRequest(channel=channel, data={**message, "sender": name("mallory")}))
        for request in (
            api.subscribe(SubscribeRequest(user=name("ben"), channel=channel)),
            api.history_remove(HistoryRemoveRequest(channel=channel)),
            api.presence(PresenceRequest(channel=channel)),
        ):
            with refused(108):
                await request


def test_the_synchronous_client_works_as_well(server: Served, name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    client = cent.Client(f"{server.http_url}/api", "conformance-api-key")
    try:
        assert client.publish(PublishRequest(channel=name("room:r"), data={"n": 1})).offset == 1
        with refused(102):
            client.publish(PublishRequest(channel=name("undefined:x"), data=1))
    finally:
        client._session.close()
