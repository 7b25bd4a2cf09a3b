"""The HTTP side of the playground: the page, its files, and tokens for demo users.

Everything else the page does goes over the public protocol and REST, with such a token: what it can, any app can.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web

from chat.assets import Asset, load, send

MAX_BODY_BYTES: Final = 1_024
"""Of the request for a token, which is a user id in a JSON object."""

# No inline script or style, nothing from elsewhere, no frames; strings never become markup.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Previews come with the message; what is about to be sent is shown from memory.
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
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


class _TokenRequest(msgspec.Struct, rename={"as_": "as"}):
    as_: str


class _Token(msgspec.Struct):
    token: str
    user: str


def play_routes(play: Play) -> list[web.RouteDef]:
    """`GET /play`, its files, and `POST /play/token {as}` → `{token, user}`, which is 404 for all but demo users."""
    served = dict(load("chat.play"))
    page = _page(served.pop("index.html"), play.users)
    ids = frozenset(user.id for user in play.users)

    async def get_page(request: web.Request) -> web.Response:
        return send(request, page, _HEADERS)

    async def get_file(request: web.Request) -> web.Response:
        asset = served.get(request.match_info["file"])
        return _problem(404, "not_found", "there is no such file") if asset is None else send(request, asset, _HEADERS)

    async def post_token(request: web.Request) -> web.Response:
        if not ids:
            return _problem(404, "not_found", "demo users exist under `hubbub dev` only")
        if not _same_origin(request) or not _own_name(request.host, play.public_host):
            return _problem(403, "permission_denied", "tokens are for the page of this server only")
        if request.content_type != "application/json":
            return _problem(415, "unsupported_media_type", "Content-Type must be application/json")
        body = await _body(request)
        if body is None:
            return _problem(413, "limit_exceeded", f"the body may have {MAX_BODY_BYTES} bytes")
        try:
            user = msgspec.json.decode(body, type=_TokenRequest).as_
        except msgspec.DecodeError as error:
            return _problem(400, "bad_request", str(error))
        if user not in ids:
            return _problem(404, "not_found", f"demo users are {', '.join(sorted(ids))}")
        return _json(200, _Token(play.mint(user), user))

    return [
        web.get("/play", get_page),
        web.get("/play/static/{file:.+}", get_file),
        web.post("/play/token", post_token),
    ]


def _page(template: Asset, users: Sequence[DemoUser]) -> Asset:
    """The page knows its users from the start: it shows them without asking."""
    listed = html.escape(msgspec.json.encode(list(users)).decode()).encode()
    return Asset(template.data.replace(_USERS_MARK, listed), template.content_type)


def _same_origin(request: web.Request) -> bool:
    """Browsers name the page that asks in Origin. Hosts are compared: behind a proxy the scheme is not ours to know."""
    origins = request.headers.getall(hdrs.ORIGIN, [])
    if len(origins) != 1 or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    try:
        return urlsplit(origins[0]).netloc.lower() == request.host.lower()
    except ValueError:  # `http://[`
        return False


def _own_name(host: str, public_host: str) -> bool:
    """Whether a Host is an address, this machine or the server's own name. Any other name may be a stranger's that was
    made to lead here (DNS rebinding): its page would be of the same origin.
    """
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    try:
        ip_address(name)
    except ValueError:
        return name in ("localhost", public_host) or name.endswith(".localhost")
    return True


async def _body(request: web.Request) -> bytes | None:
    """The body, or None when it is longer than it may be."""
    data = bytearray()
    async for chunk in request.content.iter_chunked(MAX_BODY_BYTES):
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            return None
    return bytes(data)


def _json(status: int, body: object) -> web.Response:
    headers = {**_HEADERS, hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(status=status, body=msgspec.json.encode(body), headers=headers, content_type="application/json")


def _problem(status: int, code: str, detail: str) -> web.Response:
    """RFC 9457, as REST has it."""
    title = code.replace("_", " ")
    answer = _json(status, {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail})
    answer.content_type = "application/problem+json"
    return answer
