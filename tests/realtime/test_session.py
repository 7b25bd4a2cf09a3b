"""What a connection is put through: time-outs, slow and silent peers, oversize frames, both codecs."""

import asyncio
import json

import aiohttp
import pytest
from centrifuge.protocol import client_pb2

from realtime.ports import Delivery
from realtime.protocol.machine import ConnectionSettings
from realtime.settings import Settings
from support.engine import ListFeed, SmallProduct, serve_engine
from support.raw_client import frame_of, messages_of, raw_client
from support.waiting import eventually
from support.wire_client import wire_client


@pytest.fixture
def product() -> SmallProduct:
    return SmallProduct(ListFeed(), server_side=["log:1"])


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
async def served(redis_url, redis_prefix, product, settings):
    async with serve_engine(redis_url, redis_prefix, product, settings=settings) as served:
        yield served


class TestDeadlines:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(
            connection=ConnectionSettings(
                connect_timeout_s=2, ping_interval_s=2, pong_timeout_s=1.5, expired_close_delay_s=1.5
            )
        )

    async def test_a_socket_that_never_connects_is_closed_with_4000(self, served):
        async with wire_client(served.url) as silent:
            assert await silent.closed() == 4000

    async def test_a_peer_that_answers_no_ping_is_closed_with_3012(self, served):
        async with wire_client(served.url) as mute:
            mute.answer_pings = False
            await mute.connect("mute")
            assert await mute.closed() == 3012
            assert mute.pings == 1

    async def test_pongs_keep_a_connection(self, served):
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            await alice.until(lambda: alice.pings >= 2)
            assert alice.close_code is None

    async def test_an_expired_connection_is_closed_with_3005_unless_refreshed(self, served):
        async with wire_client(served.url) as lazy, wire_client(served.url) as keen:
            await lazy.connect("lazy/1")
            result = await keen.connect("keen/1")
            assert (result["expires"], result["ttl"]) == (True, 1)
            refreshed = await keen.call(refresh={"token": "new"})
            assert 55 <= refreshed["ttl"] <= 60
            assert await lazy.closed() == 3005
            assert keen.close_code is None

    async def test_refresh_with_an_expired_token_closes_3005(self, served):
        async with wire_client(served.url) as alice:
            await alice.connect("alice/60")
            await alice.send(refresh={"token": "expired"})
            assert await alice.closed() == 3005


class TestSlowReader:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(max_queued_bytes=256 * 1024)

    async def test_is_closed_within_seconds_and_harms_nobody(self, served):
        """A peer that never reads: its queue is bounded, it is put out by force, others get everything."""
        reader = await raw_client(served.url, {"id": 1, "connect": {"token": "deaf"}})
        async with wire_client(served.url) as alice:
            await alice.connect("alice")
            await eventually(lambda: len(served.engine.hub.sessions) == 2)
            payload = json.dumps("x" * 8000)
            for _ in range(600):
                publication = served.product.feed.append("log:1", payload)
                served.engine.hub.publish(Delivery("log:1", "pub", publication, "e"))
                await asyncio.sleep(0)
            await eventually(lambda: len(served.engine.endpoint.open) == 1)
            await alice.until(lambda: len(alice.offsets("log:1")) == 600)
            assert alice.offsets("log:1") == list(range(1, 601))
            assert served.engine.stats.disconnects == {3008: 1}
        reader.close()


async def test_a_subscribe_waits_for_what_is_queued_so_that_nothing_old_comes_after_its_reply(served):
    """What was published before is for the subscription that the session had then."""
    raw = await raw_client(served.url, {"id": 1, "connect": {"token": "slow"}})
    await eventually(lambda: served.engine.hub.sessions)
    (session,) = served.engine.hub.sessions.values()
    count = 0
    while session.wire.outbox is None or len(session.wire.outbox) < 3:
        publication = served.product.feed.append("log:1", json.dumps("x" * 50_000))
        served.engine.hub.publish(Delivery("log:1", "pub", publication, "e"))
        count += 1
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    wish = {"channel": "log:1", "recover": True, "offset": count - 2}
    await loop.sock_sendall(raw, frame_of({"id": 2, "subscribe": wish}))
    received = b""
    while len(messages_of(received)) < 1 + count + 1 + 2:
        async with asyncio.timeout(30):
            received += await loop.sock_recv(raw, 1_000_000)
    raw.close()
    kinds = [message["push"]["pub"]["offset"] if "push" in message else "reply" for message in messages_of(received)]
    assert kinds == ["reply", *range(1, count + 1), "reply", count - 1, count]


async def test_a_frame_over_the_limit_is_closed_with_1009(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        await alice.socket.send_str("x" * (1024 * 1024 + 1))
        assert await alice.closed() == 1009


async def test_data_over_the_command_limit_is_an_error_and_the_connection_lives(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        error = (await alice.rpc("echo", x="x" * 70_000))["error"]
        assert error["code"] == 107
        assert error["message"].startswith("bad_request: $.rpc.data: ")
        assert await alice.rpc("echo", x=1) == {"x": 1}


async def test_a_frame_that_is_not_json_is_closed_with_3501_and_a_reason(served):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        await alice.socket.send_str("{nonsense")
        assert await alice.closed() == 3501


async def test_the_peers_own_close_is_answered_at_once(served):
    async with aiohttp.ClientSession() as session, session.ws_connect(served.url) as ws:
        async with asyncio.timeout(8):  # it waits for 10 s
            await ws.close(code=1000)
    await eventually(lambda: not served.engine.endpoint.open)


async def test_protobuf_clients_are_served_in_protobuf(served):
    served.product.feed.append("log:1", '{"n":1}')
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(served.url, protocols=("centrifuge-protobuf",)) as ws,
    ):
        assert ws.protocol == "centrifuge-protobuf"
        command = client_pb2.Command(id=1, connect=client_pb2.ConnectRequest(token="alice"))
        await ws.send_bytes(_prefixed(command))
        reply = client_pb2.Reply()
        reply.ParseFromString(_unprefixed(await ws.receive_bytes()))
        assert reply.connect.subs["log:1"].offset == 1
        publication = served.product.feed.append("log:1", '{"n":2}')
        served.engine.hub.publish(Delivery("log:1", "pub", publication, "e"))
        push = client_pb2.Reply()
        push.ParseFromString(_unprefixed(await ws.receive_bytes()))
        assert (push.push.channel, push.push.pub.offset, push.push.pub.data) == ("log:1", 2, b'{"n":2}')


def _prefixed(message: client_pb2.Command) -> bytes:
    data = message.SerializeToString()
    assert len(data) < 128
    return bytes([len(data)]) + data


def _unprefixed(data: bytes) -> bytes:
    size, shift, index = 0, 0, 0
    while True:
        byte = data[index]
        size |= (byte & 0x7F) << shift
        index, shift = index + 1, shift + 7
        if byte < 0x80:
            break
    assert len(data) == index + size
    return data[index:]


async def test_an_empty_subprotocol_header_is_tolerated(served):
    async with wire_client(served.url, headers={"Sec-WebSocket-Protocol": ""}) as alice:
        assert (await alice.connect("alice"))["client"]


async def test_a_command_knows_how_long_those_before_it_took(served, product):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        product.gate.shut()
        first = await alice.send(rpc={"method": "wait", "data": 1})
        second = await alice.send(rpc={"method": "waited", "data": 0})
        began = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.get_running_loop().time() - began > 0.3)
        product.gate.open()
        await alice.until(lambda: first in alice.replies and second in alice.replies)
        assert alice.replies[second]["rpc"]["data"] > 0.2
        assert (await alice.rpc("waited")) < 0.2
