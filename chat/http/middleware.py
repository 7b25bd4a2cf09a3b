"""Around every request: its id, security headers, CORS, and the one ladder from exceptions to problem documents."""

import re
import secrets
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from chat.auth.origin import OriginCheck
from chat.http.addresses import ClientAddresses
from chat.http.answers import SECURITY_HEADERS
from chat.http.problems import CONTENT_TYPE, Problem, Refusal, encode, fault, headers_of, problem
from chat.limits.opening import RateLimits
from realtime.protocol import codes
from realtime.protocol.codes import ClientError, ErrorCode

log = structlog.get_logger(__name__)

REQUEST_ID: Final = web.RequestKey("request_id", str)

LIMITED: Final = web.RequestKey("limited", tuple[str, bool])
"""Of a request that counts towards its user's limits: the user, and whether it sends."""

ALLOWED_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Request-Id, traceparent"
EXPOSED_HEADERS: Final = "ETag, Location, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, X-Request-Id"
PREFLIGHT_MAX_AGE_S: Final = 7200

_SANE_ID: Final = re.compile(r"[A-Za-z0-9_.:/+=@-]{1,128}")

_HTTP_CODES: Final[dict[int, ErrorCode]] = {
    HTTPStatus.NOT_FOUND: codes.METHOD_NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: codes.METHOD_NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: codes.LIMIT_EXCEEDED,
    HTTPStatus.FORBIDDEN: codes.PERMISSION_DENIED,
    HTTPStatus.UNAUTHORIZED: codes.UNAUTHORIZED,
    HTTPStatus.TOO_MANY_REQUESTS: codes.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE: codes.UNAVAILABLE,
}


def edge_middlewares(
    origins: OriginCheck, limits: RateLimits, addresses: ClientAddresses, docs_url: str
) -> list[Middleware]:
    """Outermost first: request id for everything, then CORS for `/v1`, then the ladder for `/v1` and `/api`."""
    edge = _Edge(origins, limits, addresses, docs_url)
    return [edge.identified, edge.cross_origin, edge.laddered]


def of_rest(request: web.Request) -> bool:
    """What applications call from their pages: the files too, which have links of their own."""
    return request.path == "/v1" or request.path.startswith(("/v1/", "/uploads/"))


def of_api(request: web.Request) -> bool:
    return request.path == "/api" or request.path.startswith("/api/")


class _Edge:
    def __init__(self, origins: OriginCheck, limits: RateLimits, addresses: ClientAddresses, docs_url: str) -> None:
        self._origins = origins
        self._limits = limits
        self._addresses = addresses
        self._docs_url = docs_url

    @web.middleware
    async def identified(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request has an id: the caller's if it is sane. It is in the answer, in problems and in log lines."""
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _SANE_ID.fullmatch(given) else secrets.token_hex(12)
        request[REQUEST_ID] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                response = await handler(request)
            except web.HTTPException as error:
                error.headers["X-Request-Id"] = request_id
                error.headers.setdefault(hdrs.SERVER, "hubbub")
                raise
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            response.headers.setdefault(hdrs.SERVER, "hubbub")
        return response

    @web.middleware
    async def cross_origin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pages of `client.allowed_origins` may call `/v1`. A refused origin gets no CORS headers: its browser keeps
        the answer from it.
        """
        origins = request.headers.getall(hdrs.ORIGIN, [])
        if not of_rest(request) or not origins:
            return await handler(request)
        allowed = self._origins.allows(origins, host=request.host)
        if not allowed:
            log.info("origin_refused", origin=origins[0][:200], key="client.allowed_origins")
        preflight = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if preflight:
            response: web.StreamResponse = self._preflight(request, allowed=allowed)
        else:
            response = await handler(request)
        if response.prepared:
            return response
        vary = response.headers.get(hdrs.VARY)
        response.headers[hdrs.VARY] = f"{vary}, Origin" if vary else "Origin"
        if allowed:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origins[0]
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS
        return response

    def _preflight(self, request: web.Request, *, allowed: bool) -> web.Response:
        if not allowed:
            # Browsers do not show it to the page, but developers find it beside the refused request.
            return self._answer(
                request, ClientError(codes.PERMISSION_DENIED, "this origin is not in client.allowed_origins")
            )
        headers: dict[str, str] = {
            **SECURITY_HEADERS,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ALLOWED_METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ALLOWED_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_MAX_AGE_S),
        }
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    @web.middleware
    async def laddered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The one ladder from what a handler raised to what the caller is told."""
        if not (of_rest(request) or of_api(request)):
            return await handler(request)
        try:
            response = await handler(request)
        except ClientError as error:
            response = self._answer(request, error)
        except web.HTTPException as error:
            response = self._answer(request, _of_http(error))
        except (ConnectionError, TimeoutError) as error:
            log.warning("dependency_unavailable", path=_pattern(request), error=type(error).__name__)
            response = self._answer(request, ClientError(codes.UNAVAILABLE, "try again"))
        except Exception:
            log.exception("request_failed", method=request.method, path=_pattern(request))
            response = self._send(fault(request_id=request[REQUEST_ID], docs_url=self._docs_url), {})
        if not response.prepared:
            for name, value in SECURITY_HEADERS.items():
                response.headers.setdefault(name, value)
            response.headers.update(self._limit_fields(request, response))
        return response

    def _limit_fields(self, request: web.Request, response: web.StreamResponse) -> dict[str, str]:
        """What is left of the limits that the request counted towards."""
        if LIMITED in request:
            user, sends = request[LIMITED]
            return self._limits.users.fields(user, sends=sends)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._limits.addresses.failed_fields(self._addresses.of(request))
        return {}

    def _answer(self, request: web.Request, error: ClientError) -> web.Response:
        document = problem(error, request_id=request[REQUEST_ID], docs_url=self._docs_url)
        return self._send(document, headers_of(error))

    def _send(self, document: Problem, headers: dict[str, str]) -> web.Response:
        return web.Response(
            status=document.status,
            body=encode(document),
            headers={hdrs.CACHE_CONTROL: "no-store", **headers},
            content_type=CONTENT_TYPE,
        )


def _pattern(request: web.Request) -> str:
    """The path as the route has it: what stands in it may be a secret, like the code of an invite."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _of_http(error: web.HTTPException) -> Refusal:
    """What aiohttp itself refuses: no such path, another verb, too large."""
    status = HTTPStatus(error.status)
    kept: dict[str, str] = {
        name: error.headers[name] for name in (hdrs.ALLOW, hdrs.RETRY_AFTER) if name in error.headers
    }
    detail = {
        HTTPStatus.NOT_FOUND: "there is nothing at this path",
        HTTPStatus.METHOD_NOT_ALLOWED: f"this path has {kept.get(hdrs.ALLOW, 'other methods')}",
    }.get(status, status.phrase.lower())
    return Refusal(status, _HTTP_CODES.get(status, codes.BAD_REQUEST), detail, headers=kept)
