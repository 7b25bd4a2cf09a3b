"""The page of the demo phones: what is on their screens, and their switches.

The phones live in the process of `hubbub dev`, beside the emulators; this hands on what they show and what is done.
"""

from typing import Final

import aiohttp
import msgspec
from aiohttp import hdrs, web

from chat.assets import Asset, send
from chat.play.answering import HEADERS, MAX_BODY_BYTES, json_answer, own_name, problem, read_body, same_origin
from chat.push.lab.whereabouts import Whereabouts

_ANSWER_S: Final = 5.0
"""The phones answer after two when nothing happens."""

_VERSION_LENGTH: Final = 64


def phones_routes(page: Asset, where: Whereabouts | None, public_host: str) -> list[web.RouteDef]:
    """`GET /play/phones`, `GET /play/phones/seen?version=` → `Seen`, or 204 when that is what there is, and `POST
    /play/phones/{id}` with `{switch}`. Without phones (production) the page is there and says so.
    """

    async def get_page(request: web.Request) -> web.Response:
        return send(request, page, HEADERS)

    def refused(request: web.Request) -> web.Response | None:
        if where is None:
            return problem(404, "not_found", "there are phones under `hubbub dev` only, unless told --no-phones")
        if not own_name(request.host, public_host):
            return problem(403, "permission_denied", "phones are for the page of this server only")
        return None

    async def get_seen(request: web.Request) -> web.Response:
        if (refusal := refused(request)) is not None or where is None:
            return refusal or problem(404, "not_found", "there are no phones")
        version = request.query.get("version", "")[:_VERSION_LENGTH]
        return await _handed_on(where, "GET", "/phones", params={"version": version})

    async def post_switch(request: web.Request) -> web.Response:
        if (refusal := refused(request)) is not None or where is None:
            return refusal or problem(404, "not_found", "there are no phones")
        if not same_origin(request):
            return problem(403, "permission_denied", "phones are for the page of this server only")
        if request.content_type != "application/json":
            return problem(415, "unsupported_media_type", "Content-Type must be application/json")
        body = await read_body(request)
        if body is None:
            return problem(413, "limit_exceeded", f"the body may have {MAX_BODY_BYTES} bytes")
        phone = request.match_info["phone"]
        return await _handed_on(where, "POST", f"/phones/{phone}", data=body)

    return [
        web.get("/play/phones", get_page),
        web.get("/play/phones/seen", get_seen),
        web.post("/play/phones/{phone:[a-z0-9-]{1,64}}", post_switch),
    ]


async def _handed_on(
    where: Whereabouts, method: str, path: str, *, params: dict[str, str] | None = None, data: bytes | None = None
) -> web.Response:
    headers = {hdrs.AUTHORIZATION: f"Bearer {where.phones_secret}"}
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(where.phones_url, headers=headers, timeout=timeout) as session,
            session.request(method, path, params=params, data=data) as response,
        ):
            return _answer(response.status, await response.read())
    except (aiohttp.ClientError, TimeoutError):
        return problem(503, "unavailable", "the phones do not answer")


def _answer(status: int, body: bytes) -> web.Response:
    match status:
        case 200:
            return json_answer(200, msgspec.Raw(body))
        case 204:
            return web.Response(status=204, headers={**HEADERS, hdrs.CACHE_CONTROL: "no-store"})
        case 404:
            return problem(404, "not_found", "there is no such phone")
        case 400:
            return problem(400, "bad_request", "this phone has no such switch")
        case _:
            return problem(503, "unavailable", "the phones are those of another start")
