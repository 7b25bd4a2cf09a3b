"""REST and the server API on one hub, sessions on another."""

import asyncio
from collections.abc import AsyncIterator

import cent
import pytest
import pytest_asyncio

from support.app import API_KEY, App, serve_app
from support.waiting import eventually
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(app) -> AsyncIterator[App]:
    """A second hub on the same servers; both know of each other."""
    async with serve_app(app.running.process.config) as other:
        processes = [one.running.process.redis.processes for one in (app, other)]

        async def acquainted() -> bool:
            return all([len(await each.living()) == 2 for each in processes])

        await eventually(acquainted)
        yield other


@pytest_asyncio.fixture(loop_scope="module")
async def client(app) -> AsyncIterator[cent.AsyncClient]:
    async with cent.AsyncClient(f"{app.http}/api", api_key=API_KEY) as client:
        yield client


async def test_info_lists_both(client, app, other):
    nodes = (await client.info(cent.InfoRequest())).nodes
    assert {node.uid for node in nodes} == {one.running.process.who.process for one in (app, other)}


async def test_channels_counts_the_sessions_of_both(client, app, other):
    async with wire_client(app.websocket) as anna, wire_client(other.websocket) as berta:
        for session, user in ((anna, "anna"), (berta, "berta")):
            await session.connect(app.token(user))
            await session.call(subscribe={"channel": "news:both"})
        found = await client.channels(cent.ChannelsRequest(pattern="news:both"))
        assert found.channels["news:both"].num_clients == 2


async def test_sessions_of_the_other_hub_are_subscribed_and_disconnected(client, app, other):
    async with wire_client(other.websocket) as clara:
        await clara.connect(app.token("clara"))
        await client.subscribe(cent.SubscribeRequest(user="clara", channel="news:clara"))
        await clara.until(lambda: any("subscribe" in push for push in clara.pushes))
        await client.publish(cent.PublishRequest(channel="news:clara", data=1))
        await clara.until(lambda: clara.publications("news:clara"))
        await client.unsubscribe(cent.UnsubscribeRequest(user="clara", channel="news:clara"))
        await clara.until(lambda: any("unsubscribe" in push for push in clara.pushes))
        await client.disconnect(cent.DisconnectRequest(user="clara"))
        assert await clara.closed() == 3503


@pytest.mark.parametrize("channel", ["news:once", "loose:once", "plain:once"])
async def test_a_key_publishes_once_over_both(client, app, other, channel):
    async with (
        wire_client(other.websocket) as dora,
        cent.AsyncClient(f"{other.http}/api", api_key=API_KEY) as second,
    ):
        await dora.connect(app.token("dora"))
        await client.subscribe(cent.SubscribeRequest(user="dora", channel=channel))
        await dora.until(lambda: any("subscribe" in push for push in dora.pushes))
        request = cent.PublishRequest(channel=channel, data="once", idempotency_key="k")
        results = await asyncio.gather(*(each.publish(request) for each in [client, second] * 10))
        assert all(result == results[0] for result in results)
        await second.publish(cent.PublishRequest(channel=channel, data="end"))
        await dora.until(lambda: "end" in [one["data"] for one in dora.publications(channel)])
        assert [one["data"] for one in dora.publications(channel)] == ["once", "end"]


async def test_one_message_key_over_both_is_one_message(app, other):
    async with app.rest("emil") as one, other.rest("emil") as two:
        async with one.post("/v1/conversations", json={"kind": "group"}) as response:
            conversation = (await response.json())["conversation"]["id"]
        path = f"/v1/conversations/{conversation}/messages"

        async def send(session) -> tuple[int, str]:
            async with session.post(path, json={"text": "once", "idempotency_key": "k"}) as response:
                return response.status, (await response.json())["message"]["id"]

        answers = await asyncio.gather(*(send(session) for session in [one, two] * 25))
        assert len({message for _, message in answers}) == 1
        assert sorted(status for status, _ in answers) == [200] * 49 + [201]
        async with two.get(path) as response:
            assert len((await response.json())["items"]) == 1
