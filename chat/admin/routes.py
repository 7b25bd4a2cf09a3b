"""The HTTP side of the admin page: pages, sign-in, the JSON API and the stream.

Who is signed in is a cookie; what changes something also needs the CSRF token of the session, JSON and our own origin.
The API is read with the cookie alone, and a user's bearer token opens nothing here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, get_args

import msgspec
import structlog
from aiohttp import web

from chat.admin import sessions
from chat.admin.connections import MAX_CONNECTIONS, Connections, Order
from chat.admin.http import NO_STORE, SECURITY, Refused, answering, json, read_json, require_same_origin
from chat.admin.links import Claims, UsedLinks, verify
from chat.admin.live import Live, Overview
from chat.admin.push_routes import push_routes
from chat.admin.pushes import Pushes
from chat.admin.sessions import COOKIE, Session
from chat.admin.stream import Streams
from chat.assets import load, send
from chat.limits.addresses import AddressLimits

MAX_CONVERSATIONS: Final = 50

_MAX_SEARCH: Final = 128
_ORDERS: Final[dict[str, Order]] = {order: order for order in get_args(Order)}
_CLIENT: Final = re.compile(r"[!-~]{1,64}")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """What the page is made of.

    `secret`: at least 16 bytes, the same on all processes. `secure`: browsers come by HTTPS. `address` tells where a
    request comes from (whoever knows the trusted proxies gives it). `reasons`: disconnect codes and what they mean.
    `clock` in ms, `monotonic` in seconds, `started_at` in ms. `pushes` None: nothing of push is shown.
    """

    live: Live
    connections: Connections
    claims: Claims
    secret: bytes
    secure: bool
    clock: Callable[[], int]
    monotonic: Callable[[], float]
    started_at: int
    address: Callable[[web.Request], str]
    limits: AddressLimits
    reasons: dict[int, str]
    session_ttl_s: float = sessions.SESSION_TTL_S
    pushes: Pushes | None = None


class _SignIn(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class _Disconnect(msgspec.Struct, forbid_unknown_fields=True):
    reconnect: bool


def admin_routes(admin: Admin) -> list[web.RouteDef]:
    """Everything below `/admin`. Nothing is shared with other apps in the process."""
    handlers = _Handlers(admin)
    pushes = (
        push_routes(admin.pushes, read=handlers.require, change=handlers.require_change)
        if admin.pushes is not None
        else []
    )
    return [
        *pushes,
        web.get("/admin", handlers.get_page),
        web.get("/admin/login", handlers.get_login),
        web.get("/admin/static/{name:.+}", handlers.get_asset),
        web.post("/admin/api/login", answering(handlers.sign_in)),
        web.post("/admin/api/logout", answering(handlers.sign_out)),
        web.get("/admin/api/session", answering(handlers.get_session)),
        web.get("/admin/api/overview", answering(handlers.get_overview)),
        web.get("/admin/api/live", answering(handlers.get_live)),
        web.get("/admin/api/connections", answering(handlers.get_connections)),
        web.post("/admin/api/connections/{client}/disconnect", answering(handlers.disconnect)),
        web.get("/admin/api/conversations", answering(handlers.get_conversations)),
    ]


class _Handlers:
    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._assets = load("chat.admin")
        self._used = UsedLinks(admin.claims, started_at=admin.started_at)
        self._streams = Streams(admin.live, clock=admin.clock)

    # Pages

    async def get_page(self, request: web.Request) -> web.Response:
        if self._session(request) is None:
            # Also after a click on a link from elsewhere, when the browser keeps a strict cookie back: that page looks
            # for a session and comes back here.
            return web.Response(status=303, headers={**NO_STORE, "Location": "/admin/login"})
        return send(request, self._assets["index.html"], SECURITY, store=False)

    async def get_login(self, request: web.Request) -> web.Response:
        return send(request, self._assets["login.html"], SECURITY, store=False)

    async def get_asset(self, request: web.Request) -> web.Response:
        asset = self._assets.get(request.match_info["name"])
        return web.Response(status=404, headers=NO_STORE) if asset is None else send(request, asset, SECURITY)

    # Sign-in

    async def sign_in(self, request: web.Request) -> web.Response:
        require_same_origin(request)
        body = await read_json(request, _SignIn)
        admin, address = self._admin, self._admin.address(request)
        link = verify(admin.secret, body.token, admin.clock())
        # A genuine link is looked at even from a throttled address: strangers who guess must not lock the operator out.
        if link is None or not await self._used.use(link, admin.clock()):
            refusal = admin.limits.failed(address)
            if refusal is not None:
                raise Refused(
                    429, refusal.code.slug, refusal.detail, retry_after_s=(refusal.retry_after_ms or 1000) / 1000
                )
            _log.warning("admin_sign_in_refused", address=address, used=link is not None)
            raise Refused(401, "unauthorized", "this link was used already or has expired: make a new one")
        session = sessions.start(admin.clock(), ttl_s=admin.session_ttl_s)
        _log.info("admin_signed_in", address=address, session=session.id[:8])
        response = json(self._session_view(session))
        response.set_cookie(
            COOKIE,
            sessions.to_cookie(admin.secret, session),
            max_age=int(admin.session_ttl_s),
            path="/admin",
            secure=admin.secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        session = self.require_change(request)
        _log.info("admin_signed_out", session=session.id[:8])
        response = json({})
        response.del_cookie(COOKIE, path="/admin", secure=self._admin.secure, httponly=True, samesite="Strict")
        return response

    async def get_session(self, request: web.Request) -> web.Response:
        return json(self._session_view(self.require(request)))

    # What is going on

    async def get_overview(self, request: web.Request) -> web.Response:
        self.require(request)
        return json(await self._overview())

    async def get_live(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, until=self.require(request).expires_at)

    async def get_conversations(self, request: web.Request) -> web.Response:
        self.require(request)
        await self._overview()
        return json({"items": self._admin.live.conversations(_limit(request, MAX_CONVERSATIONS))})

    async def get_connections(self, request: web.Request) -> web.Response:
        self.require(request)
        search = request.query.get("search", "")
        if len(search) > _MAX_SEARCH:
            raise Refused(400, "bad_request", f"search: at most {_MAX_SEARCH} characters")
        page = await self._admin.connections.search(
            search,
            process=request.query.get("process") or None,
            order=_order(request),
            limit=_limit(request, MAX_CONNECTIONS),
        )
        return json(page)

    async def disconnect(self, request: web.Request) -> web.Response:
        session = self.require_change(request)
        body = await read_json(request, _Disconnect)
        client = request.match_info["client"]
        if not _CLIENT.fullmatch(client):
            raise Refused(404, "not_found", "no such connection")
        try:
            found = await self._admin.connections.disconnect(client, reconnect=body.reconnect)
        except (ConnectionError, TimeoutError):
            raise Refused(
                503, "unavailable", "not on this process, and the others cannot be asked", retry_after_s=2
            ) from None
        _log.info("admin_disconnected_client", client=client, found=found, session=session.id[:8])
        if not found:
            raise Refused(404, "not_found", "this connection is gone")
        return json({})

    async def _overview(self) -> Overview:
        try:
            return await self._admin.live.overview()
        except ConnectionError:
            raise Refused(503, "draining", "this process is shutting down", retry_after_s=1) from None

    # Who asks

    def _session(self, request: web.Request) -> Session | None:
        return sessions.from_cookie(self._admin.secret, request.cookies.get(COOKIE, ""), self._admin.clock())

    def require(self, request: web.Request) -> Session:
        """Whoever is signed in. Raises Refused."""
        session = self._session(request)
        if session is None:
            raise Refused(401, "unauthorized", "sign in with a link from `hubbub admin link`")
        return session

    def require_change(self, request: web.Request) -> Session:
        """Whoever is signed in, and asks for it on our own page. Raises Refused."""
        session = self.require(request)
        require_same_origin(request)
        given = request.headers.get("X-CSRF-Token", "")
        if not sessions.is_csrf_token(self._admin.secret, session, given):
            raise Refused(403, "csrf_token", "X-CSRF-Token is missing or not the one of this session")
        return session

    def _session_view(self, session: Session) -> dict[str, object]:
        return {
            "csrf_token": sessions.csrf_token(self._admin.secret, session),
            "expires_at": session.expires_at,
            "reasons": {str(code): reason for code, reason in self._admin.reasons.items()},
        }


def _limit(request: web.Request, most: int) -> int:
    given = request.query.get("limit", str(most))
    if not (given.isascii() and given.isdigit() and len(given) <= 6 and 1 <= int(given) <= most):
        raise Refused(400, "bad_request", f"limit: from 1 to {most}")
    return int(given)


def _order(request: web.Request) -> Order:
    given = request.query.get("order", "newest")
    if given not in _ORDERS:
        raise Refused(400, "bad_request", f"order: one of {', '.join(_ORDERS)}")
    return _ORDERS[given]
