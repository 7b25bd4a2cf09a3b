"""Serves the resources of the table: each is a method with its parameters spread over path, query and body."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from chat.calls import SEND
from chat.http.answers import Encoded, json_answer
from chat.http.bearer import bearer
from chat.http.binding import Binder
from chat.http.decoding import read_json
from chat.http.deps import HttpDeps
from chat.http.middleware import LIMITED
from chat.http.problems import Refusal
from chat.http.resources import RESOURCES, Resource
from chat.lately import Lately
from chat.methods import METHODS, Decoder, method
from chat.vocabulary.types import IdempotencyKey
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

RPC_PATH: Final = "/v1/rpc/{method}"

_QUOTED: Final = re.compile(r'"([^"\\]*)"')


def rest_routes(deps: HttpDeps) -> list[web.RouteDef]:
    """Every route under `/v1`."""
    rest = _Rest(deps)
    index = msgspec.json.encode(_index())

    async def get_index(_: web.Request) -> web.Response:
        return web.Response(body=index, content_type="application/json", headers={"Cache-Control": "no-store"})

    routes = [_route(resource.verb, resource.path, rest.handler(resource)) for resource in RESOURCES]
    return [web.get("/v1", get_index), *routes, web.post(RPC_PATH, rest.rpc)]


def _route(verb: str, path: str, handler: Handler) -> web.RouteDef:
    # By itself aiohttp takes no braces in a part of a path, which an id may have.
    pattern = path.replace("}", ":[^/]+}")
    # `web.get` answers HEAD as well.
    return web.get(pattern, handler) if verb == "GET" else web.route(verb, pattern, handler)


@cache
def _binder(resource: Resource) -> Binder:
    """One for each of the table, which never changes."""
    return Binder(resource.method.request, resource.parts)


class _Rest:
    def __init__(self, deps: HttpDeps) -> None:
        self._deps = deps
        self._calls = deps.calls
        self._decoder = Decoder()
        # Pages that many ask for at the same time are one object.
        self._encoded = Lately(Encoded)

    def handler(self, resource: Resource) -> Handler:
        binder = _binder(resource)

        async def handle(request: web.Request) -> web.StreamResponse:
            user = await self._user(request, resource.method.name)
            body = b""
            if binder.takes_body:
                body = await read_json(request, max_bytes=self._deps.max_body_bytes, required=binder.body_required)
            bound = binder.bind(
                path=request.match_info.items(),
                query=request.query.items(),
                body=body,
                key=_idempotency_key(request) if binder.takes_key else None,
                preset={resource.caller: user} if resource.caller else {},
            )
            return await self._answer(request, resource, await self._calls.run(user, resource.method, bound))

        return handle

    async def rpc(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/rpc/<method>`: the parameters are the body, an object that may be left out."""
        user = await self._user(request, request.match_info["method"])
        found = method(request.match_info["method"])
        if request.query:
            raise ClientError(
                codes.BAD_REQUEST, "is no parameter; all of them are in the body", next(iter(request.query))
            )
        body = await read_json(request, max_bytes=self._deps.max_body_bytes, required=False)
        bound = self._decoder.decode(found.name, body)
        return await json_answer(request, Encoded(await self._calls.run(user, found, bound)))

    async def _user(self, request: web.Request, method_name: str) -> str:
        """The user who calls, within their limits; created on first sight."""
        limits, address = self._deps.limits, self._deps.addresses.of(request)
        async with self._calls.in_time():
            claims = await bearer(request, self._deps.verifier, lambda: limits.addresses.failed(address))
            sends = method_name == SEND
            request[LIMITED] = (claims.user, sends)
            limits.users.command(claims.user)
            if sends:
                limits.users.send(claims.user)
            await self._calls.service.arrivals.arrived(claims.user, claims.info)
        return claims.user

    async def _answer(self, request: web.Request, resource: Resource, result: Struct) -> web.StreamResponse:
        status = resource.status
        headers = {}
        if resource.location is not None:
            headers["Location"] = resource.location(result)
        if status == HTTPStatus.CREATED and getattr(result, "duplicate", False):
            status = HTTPStatus.OK
        return await json_answer(
            request,
            self._encoded(result) if resource.packed else Encoded(result),
            status=status,
            headers=headers,
            etag=resource.etag,
            packed=resource.packed,
        )


def _idempotency_key(request: web.Request) -> str | None:
    """The header `Idempotency-Key`, as the string in quotes that it should be or bare as most write it."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return None
    # Twice the header is once with a comma in between, and that space is no visible character.
    text = ", ".join(given).strip()
    quoted = _QUOTED.fullmatch(text)
    try:
        return msgspec.convert(quoted[1] if quoted else text, IdempotencyKey)
    except msgspec.ValidationError:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            codes.BAD_REQUEST,
            "the header must be one value of 1–64 visible ASCII characters",
            "idempotency_key",
        ) from None


def _index() -> dict[str, Any]:
    """What there is, for whoever looks at `/v1` with a browser or curl."""
    return {
        "links": [
            {
                "method": resource.verb,
                "href": resource.path,
                "rel": resource.method.name,
                "title": resource.method.summary,
            }
            for resource in RESOURCES
        ],
        "rpc": {"method": "POST", "href": RPC_PATH, "methods": list(METHODS)},
        "websocket": "/connection/websocket",
    }
