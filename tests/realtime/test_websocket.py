"""The endpoint, at the edges of a handshake."""

import asyncio
import gc
import logging
import os
import socket
import weakref
from functools import partial

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from realtime.ports import Delivery
from realtime.protocol.machine import ConnectionSettings
from realtime.protocol.messages import Payload, Publication
from realtime.session import Session
from realtime.settings import Settings
from support.engine import ListFeed, SmallProduct, serve_engine
from support.raw_client import frame_of, raw_client, vanish
from support.raw_frames import TEXT, client_frame, handshake, raw_socket
from support.waiting import eventually
from support.wire_client import wire_client

CONNECT = client_frame(TEXT, b'{"id":1,"connect":{"token":"alice"}}')


@pytest.fixture
async def served(redis_url, redis_prefix):
    async with serve_engine(redis_url, redis_prefix, SmallProduct(ListFeed())) as served:
        yield served


async def test_a_client_that_vanishes_during_the_handshake_is_no_fault(served, caplog):
    async def vanishing(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return await served.engine.endpoint.handle(request)

    app = web.Application()
    app.router.add_get("/", vanishing)
    with caplog.at_level(logging.ERROR):
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.ws_connect(server.make_url("/"))
    assert not caplog.records
    assert not served.engine.endpoint.open


async def test_what_comes_together_with_the_handshake_is_served(served):
    async with raw_socket(served.url, upgrade=False) as raw:
        await raw.upgrade(handshake() + CONNECT[:9])
        await raw.send(CONNECT[9:])
        _, payload = await raw.frame()
        assert payload.startswith(b'{"id":1,"connect":')


async def test_nothing_goes_to_whoever_has_the_number_of_a_socket_that_was_lost(served):
    """What a hub writes it writes to a number, which the next connection may get."""
    publish = partial(served.engine.hub.publish, Delivery("open:1", "pub", Publication(Payload(b'"for alice"'))))
    subscribe = {"id": 2, "subscribe": {"channel": "open:1"}}
    alice = await raw_client(served.url, {"id": 1, "connect": {"token": "alice"}}, subscribe)
    channels = served.engine.hub.channels
    await eventually(lambda: "open:1" in channels and channels["open:1"].subscribers == 1)
    (session,) = served.engine.endpoint.open
    assert session.fd >= 0
    served.product.gate.shut()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(alice, frame_of({"id": 3, "rpc": {"method": "wait"}}))
    await eventually(lambda: served.product.gate.waiting)
    number = session.fd
    vanish(alice)
    await eventually(lambda: session.fd < 0)
    assert session in served.engine.endpoint.open  # its command is still under way, and it is a receiver
    assert channels["open:1"].subscribers == 1
    ours, theirs = sorted(socket.socketpair(), key=lambda one: one.fileno() != number)
    with ours, theirs:
        if ours.fileno() != number:
            os.dup2(ours.fileno(), number)
        publish()
        await eventually(lambda: not channels["open:1"].pending)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        if ours.fileno() != number:
            os.close(number)
    served.product.gate.open()


async def test_a_connection_that_says_nothing_has_no_task_and_keeps_nothing_of_its_request(served):
    requests: list[weakref.ref[web.BaseRequest]] = []

    async def noted(request: web.Request) -> web.StreamResponse:
        requests.append(weakref.ref(request))
        return await served.engine.endpoint.handle(request)

    app = web.Application()
    app.router.add_get("/", noted)
    before = len(asyncio.all_tasks())
    async with TestServer(app) as server:
        url = str(server.make_url("/")).replace("http", "ws")
        async with wire_client(url) as alice:
            await alice.connect("alice")
            # The client has one itself.
            await eventually(lambda: len(asyncio.all_tasks()) <= before + 1)
            gc.collect()
            assert [request() for request in requests] == [None]
            assert await alice.rpc("echo", x=1) == {"x": 1}
        await eventually(lambda: not served.engine.endpoint.open)


async def test_connections_that_are_gone_leave_no_garbage(redis_url, redis_prefix):
    # The timer wheel knows of them until their next ping, and the one that it saw last a little longer.
    soon = Settings(connection=ConnectionSettings(connect_timeout_s=1, ping_interval_s=1))
    async with serve_engine(redis_url, redis_prefix, SmallProduct(ListFeed()), settings=soon) as served:
        gc.collect()
        gc.disable()
        try:
            for user in ("alice", "bob", "carol"):
                async with wire_client(served.url) as client:
                    await client.connect(user)
                    assert await client.rpc("echo", x=1) == {"x": 1}
            await eventually(lambda: sum(issubclass(type(one), Session) for one in gc.get_objects()) <= 1)
        finally:
            gc.enable()
