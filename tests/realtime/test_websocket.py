"""The endpoint, at the edges of a handshake."""

import logging

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from support.engine import ListFeed, SmallProduct, serve_engine


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
