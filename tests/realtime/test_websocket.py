"""The endpoint, at the edges of a handshake."""

import asyncio
import gc
import logging
import weakref

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from support.engine import ListFeed, SmallProduct, serve_engine
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
