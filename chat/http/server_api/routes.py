"""The server API over HTTP: the key, the body, and answers that are 200 even when they tell of an error.

401 with an empty body without the key, 400 for what is not JSON at all: these are no answers of a method.
"""

from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from chat.config import Secret
from chat.http.answers import Encoded, json_answer
from chat.http.decoding import read_body
from chat.http.deps import HttpDeps
from chat.http.server_api.api import BATCH, ServerApi
from realtime.protocol.payload import checked_payload

PATH: Final = "/api/{method}"


def api_routes(deps: HttpDeps) -> list[web.RouteDef]:
    """`POST /api/<method>`. The Content-Type is not looked at: a header with a key is nothing that a page of another
    site can send, and Centrifugo's examples say none.
    """
    api = ServerApi(deps)

    async def post(request: web.Request) -> web.StreamResponse:
        if not has_key(request, deps.api_key):
            if given_key(request) and (refusal := deps.limits.addresses.failed(deps.addresses.of(request))) is not None:
                raise refusal
            return web.Response(status=HTTPStatus.UNAUTHORIZED, headers={hdrs.CACHE_CONTROL: "no-store"})
        data = bytes(checked_payload(await read_body(request, max_bytes=deps.max_body_bytes), ""))
        name = request.match_info["method"]
        answer = await (api.batch(data) if name == BATCH else api.command(name, data))
        # It goes to the application's own servers, whoever has chosen what is in it.
        return await json_answer(request, Encoded(answer), packed=True)

    return [web.post(PATH, post)]


def has_key(request: web.Request, key: Secret) -> bool:
    """Whether the request has the key, as `X-API-Key: K` or `Authorization: apikey K`; never in the URL."""
    return key.matches(given_key(request))


def given_key(request: web.Request) -> str:
    """The key that a request shows, whatever it is worth; empty: none."""
    if given := request.headers.get("X-API-Key", ""):
        return given
    scheme, _, credentials = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return credentials.strip() if scheme.lower() == "apikey" else ""
