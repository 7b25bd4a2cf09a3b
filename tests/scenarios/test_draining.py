"""A hub that is told to end: everyone hears of it, and nobody can hold it up."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp

from support.app import serve_app
from support.raw_client import raw_client
from support.waiting import eventually
from support.wire_client import wire_client


async def test_neither_slow_nor_idle_nor_half_done_requests_hold_up_the_end(config):
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as outer:
        async with serve_app(config) as app:
            alice = await outer.enter_async_context(wire_client(app.websocket))
            await alice.connect(app.token("alice"))
            deaf = await raw_client(app.websocket)
            outer.callback(deaf.close)
            idle = await outer.enter_async_context(aiohttp.ClientSession(app.http))
            async with idle.get("/healthz") as answer:
                await answer.read()
            host, port = app.http.removeprefix("http://").split(":")
            _, half = await asyncio.open_connection(host, int(port))
            outer.callback(half.close)
            half.write(b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            await eventually(lambda: len(app.running.process.engine.endpoint.open) == 2)
            began = loop.time()
        assert await alice.closed() == 3001
        assert loop.time() - began < 20
