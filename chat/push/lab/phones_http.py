"""The demo phones, for the hub that shows them on a page: HTTP on loopback, for whoever has the secret."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from chat.push.lab.phones import NotOfThisPhone, Phones, Switch

WAIT_S: Final = 2.0
"""How long an answer waits for something to happen."""

_MAX_BODY_BYTES: Final = 1_024


class Turn(msgspec.Struct):
    """A switch to be turned."""

    switch: Switch


@asynccontextmanager
async def open_phones(phones: Phones, secret: str) -> AsyncIterator[str]:
    """Serves them until exit; gives the URL.

    `GET /phones?version=`: what is to be seen (`Seen`), at once if it is not that version, else when something happens
    or 204. `POST /phones/{id}` with `Turn`: 204, or 404, or 400 for a switch that it does not have.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        if not secrets.compare_digest(given.encode(), f"Bearer {secret}".encode()):
            return web.Response(status=401)
        return await handler(request)

    async def see(request: web.Request) -> web.Response:
        seen = await phones.changed(request.query.get("version", ""), within_s=WAIT_S)
        if seen is None:
            return web.Response(status=204)
        return web.Response(body=msgspec.json.encode(seen), content_type="application/json")

    async def turn(request: web.Request) -> web.Response:
        try:
            phones.switch(request.match_info["id"], msgspec.json.decode(await request.read(), type=Turn).switch)
        except KeyError:
            return web.Response(status=404)
        except (NotOfThisPhone, msgspec.DecodeError) as error:
            return web.Response(status=400, text=str(error))
        return web.Response(status=204)

    app = web.Application(middlewares=[guarded], client_max_size=_MAX_BODY_BYTES)
    app.router.add_get("/phones", see)
    app.router.add_post("/phones/{id}", turn)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
