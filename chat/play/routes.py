"""The HTTP side of the playground: the page, its files, and tokens for demo users.

Everything else the page does goes over the public protocol and REST, with such a token: what it can, any app can.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from chat.assets import Asset, load, send
from chat.play.answering import HEADERS, MAX_BODY_BYTES, json_answer, own_name, problem, read_body, same_origin
from chat.play.phones import phones_routes
from chat.push.lab.whereabouts import Whereabouts

_USERS_MARK: Final = b"{{demo users}}"


class DemoUser(msgspec.Struct, frozen=True):
    """Somebody the page may sign in as."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Play:
    """Who the page may be. `mint(user)` gives a short-lived connection token; it is only asked for ids of `users`.

    Without users (production) the page is there, but signs nobody in.
    """

    users: Sequence[DemoUser]
    mint: Callable[[str], str]
    public_host: str = ""
    """The name by which this server is meant to be reached, if it has one."""
    phones: Whereabouts | None = None
    """Where the demo phones are."""


class _TokenRequest(msgspec.Struct, rename={"as_": "as"}):
    as_: str


class _Token(msgspec.Struct):
    token: str
    user: str


def play_routes(play: Play) -> list[web.RouteDef]:
    """`GET /play`, its files, and `POST /play/token {as}` → `{token, user}`, which is 404 for all but demo users."""
    served = dict(load("chat.play"))
    page = _page(served.pop("index.html"), play.users)
    phones_page = served.pop("phones.html")
    ids = frozenset(user.id for user in play.users)

    async def get_page(request: web.Request) -> web.Response:
        return send(request, page, HEADERS)

    async def get_file(request: web.Request) -> web.Response:
        asset = served.get(request.match_info["file"])
        return problem(404, "not_found", "there is no such file") if asset is None else send(request, asset, HEADERS)

    async def post_token(request: web.Request) -> web.Response:
        if not ids:
            return problem(404, "not_found", "demo users exist under `hubbub dev` only")
        if not same_origin(request) or not own_name(request.host, play.public_host):
            return problem(403, "permission_denied", "tokens are for the page of this server only")
        if request.content_type != "application/json":
            return problem(415, "unsupported_media_type", "Content-Type must be application/json")
        body = await read_body(request)
        if body is None:
            return problem(413, "limit_exceeded", f"the body may have {MAX_BODY_BYTES} bytes")
        try:
            user = msgspec.json.decode(body, type=_TokenRequest).as_
        except msgspec.DecodeError as error:
            return problem(400, "bad_request", str(error))
        if user not in ids:
            return problem(404, "not_found", f"demo users are {', '.join(sorted(ids))}")
        return json_answer(200, _Token(play.mint(user), user))

    return [
        web.get("/play", get_page),
        *phones_routes(phones_page, play.phones, play.public_host),
        web.get("/play/static/{file:.+}", get_file),
        web.post("/play/token", post_token),
    ]


def _page(template: Asset, users: Sequence[DemoUser]) -> Asset:
    """The page knows its users from the start: it shows them without asking."""
    listed = html.escape(msgspec.json.encode(list(users)).decode()).encode()
    return Asset(template.data.replace(_USERS_MARK, listed), template.content_type)
