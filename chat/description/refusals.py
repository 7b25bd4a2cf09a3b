"""What a request can be refused with: statuses, the codes that come with each, and the headers. Pure.

The statuses follow from the codes as they do in `chat.http.problems`.
"""

from http import HTTPStatus
from typing import Any, Final

from chat.description.schemas import Schema, Schemas
from chat.http.problems import CONTENT_TYPE, STATUSES, Problem
from realtime.protocol import codes
from realtime.protocol.codes import ErrorCode

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_NAMES: Final = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.REQUEST_TIMEOUT: "BodyTooSlow",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "BodyTooLarge",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UnsupportedMediaType",
    HTTPStatus.TOO_MANY_REQUESTS: "TooManyRequests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Fault",
    HTTPStatus.SERVICE_UNAVAILABLE: "Unavailable",
}
_SAYING: Final = {
    HTTPStatus.BAD_REQUEST: "A field is missing, malformed or too large; `errors` names it.",
    HTTPStatus.UNAUTHORIZED: "There is no good token, or it is expired.",
    HTTPStatus.FORBIDDEN: "The caller's role does not allow it.",
    HTTPStatus.NOT_FOUND: "It does not exist, or is not the caller's to see: the answer is the same.",
    HTTPStatus.REQUEST_TIMEOUT: "The body took too long to arrive.",
    HTTPStatus.CONFLICT: "The present state contradicts the request.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the server takes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON in UTF-8, or is compressed.",
    HTTPStatus.TOO_MANY_REQUESTS: "A limit was met. Where waiting helps, `retry_after_ms` says how long.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the server. The request may be repeated with the same key.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A database is away, or the server is closing. Try again.",
}
_CODES: Final[dict[HTTPStatus, tuple[ErrorCode, ...]]] = {
    HTTPStatus.NOT_FOUND: (codes.PERMISSION_DENIED, codes.NOT_AVAILABLE, codes.METHOD_NOT_FOUND),
    HTTPStatus.REQUEST_TIMEOUT: (codes.BAD_REQUEST,),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (codes.LIMIT_EXCEEDED,),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (codes.BAD_REQUEST,),
    HTTPStatus.INTERNAL_SERVER_ERROR: (codes.INTERNAL,),
}
"""Where they do not follow from the table of statuses."""

_WAITING: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_ALWAYS: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, *_WAITING, HTTPStatus.INTERNAL_SERVER_ERROR)
_OF_BODIES: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


def of_operation(*, changing: bool, body: bool, about_something: bool) -> Schema:
    """The responses of an operation that refuse it, by status. `about_something`: it names what may not exist, or not
    be for the caller.
    """
    statuses = {*_ALWAYS}
    if body:
        statuses |= {*_OF_BODIES}
    if about_something:
        statuses |= {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}
    if changing:
        statuses |= {HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN}
    return {str(status.value): ref(status) for status in sorted(statuses)}


def of_server_api() -> Schema:
    """What is no answer of a method of the server API: a body that cannot be read."""
    statuses = (HTTPStatus.BAD_REQUEST, *_OF_BODIES, HTTPStatus.INTERNAL_SERVER_ERROR)
    return {str(status.value): ref(status) for status in sorted(statuses)}


def ref(status: HTTPStatus) -> Schema:
    return {"$ref": f"#/components/responses/{_NAMES[status]}"}


def responses(schemas: Schemas) -> Schema:
    """All refusals as components."""
    problem = schemas.ref(Problem, "out")
    return {name: _response(status, problem) for status, name in sorted(_NAMES.items())}


def _response(status: HTTPStatus, problem: Schema) -> Schema:
    told = sorted(code.slug for code in _codes(status))
    headers: dict[str, Any] = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in _WAITING:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in ("RateLimit", "RateLimit-Policy")}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
    return {
        "description": _SAYING[status],
        "headers": headers,
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "allOf": [
                        problem,
                        {"properties": {"code": {"enum": told}, "status": {"const": status.value}}},
                    ]
                },
                "example": _example(status, told[0]),
            }
        },
    }


def _codes(status: HTTPStatus) -> tuple[ErrorCode, ...]:
    return _CODES.get(status) or tuple(code for code, given in STATUSES.items() if given == status)


def _example(status: HTTPStatus, slug: str) -> Schema:
    example: Schema = {
        "type": f"/docs/reference#{slug}",
        "title": slug.replace("_", " ").capitalize(),
        "status": status.value,
        "code": slug,
        "detail": _SAYING[status],
        "instance": "3f9c0e5d7a21b84c6e0f9d12",
    }
    if status == HTTPStatus.BAD_REQUEST:
        example["detail"] = "limit: expected `int` <= 200"
        example["errors"] = [{"pointer": "/limit", "detail": "expected `int` <= 200"}]
    if status in _WAITING:
        example["retry_after_ms"] = 1000
    return example
