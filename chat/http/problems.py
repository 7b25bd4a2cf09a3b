"""Refusals as problem documents (RFC 9457). Pure: codes and statuses in, a body and headers out.

Statuses follow from the error's code, in one table. The exception is what a caller may not know of: it is 404 whether
it is missing or somebody else's, while the same code from somebody who knows it but lacks the role is 403 (see
`chat.usecases.failures.Unseen`, which raise sites choose).
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from chat.usecases.failures import Unseen
from realtime.protocol import codes
from realtime.protocol.codes import ClientError, ErrorCode

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_MS: Final = 1_000
"""What a client is told to wait where nothing better is known."""

MAX_DETAIL_CHARS: Final = 300
"""Details and fields may quote the caller."""

STATUSES: Final[Mapping[ErrorCode, HTTPStatus]] = {
    codes.INTERNAL: HTTPStatus.SERVICE_UNAVAILABLE,
    codes.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    codes.UNKNOWN_CHANNEL: HTTPStatus.NOT_FOUND,
    codes.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    codes.METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    codes.ALREADY_SUBSCRIBED: HTTPStatus.CONFLICT,
    codes.LIMIT_EXCEEDED: HTTPStatus.TOO_MANY_REQUESTS,
    codes.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    codes.NOT_AVAILABLE: HTTPStatus.NOT_FOUND,
    codes.TOKEN_EXPIRED: HTTPStatus.UNAUTHORIZED,
    codes.EXPIRED: HTTPStatus.UNAUTHORIZED,
    codes.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    codes.UNRECOVERABLE_POSITION: HTTPStatus.CONFLICT,
    codes.CONFLICT: HTTPStatus.CONFLICT,
    codes.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

_WAITING: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class Refusal(ClientError):
    """A refusal whose HTTP status does not follow from its code: what only HTTP knows, like a Content-Type."""

    def __init__(
        self,
        status: HTTPStatus,
        code: ErrorCode,
        detail: str,
        field: str = "",
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, detail, field)
        self.status: Final = status
        self.headers: Final = dict(headers or {})


class FieldError(Struct, frozen=True):
    """One thing that is wrong with a request. `pointer` (RFC 6901) leads to it in the body, or names the parameter."""

    pointer: str
    detail: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """`code` is the slug of the error that the socket gives for the same; `instance` is the request id."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    errors: list[FieldError] = []
    retry_after_ms: int | None = None


def status_of(error: ClientError) -> HTTPStatus:
    match error:
        case Refusal():
            return error.status
        case Unseen():
            return HTTPStatus.NOT_FOUND
        case _:
            return STATUSES[error.code]


def problem(error: ClientError, *, request_id: str, docs_url: str) -> Problem:
    """The document that says what was refused and why."""
    status = status_of(error)
    detail, field = error.detail[:MAX_DETAIL_CHARS], error.field[:MAX_DETAIL_CHARS]
    return Problem(
        type=f"{docs_url}#{error.code.slug}",
        title=error.code.slug.replace("_", " ").capitalize(),
        status=status,
        code=error.code.slug,
        detail=f"{field}: {detail}" if field else detail or error.code.when,
        instance=request_id,
        errors=[FieldError(pointer(field), detail)] if status == HTTPStatus.BAD_REQUEST and field else [],
        retry_after_ms=_wait_ms(error, status),
    )


def fault(*, request_id: str, docs_url: str) -> Problem:
    """What is said of a bug of ours: nothing but where to find it in the log."""
    return Problem(
        type=f"{docs_url}#{codes.INTERNAL.slug}",
        title="Internal",
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        code=codes.INTERNAL.slug,
        detail="this is a fault of the server; its log has more under this request id",
        instance=request_id,
    )


def headers_of(error: ClientError) -> dict[str, str]:
    """The headers that go with a refusal: Retry-After where waiting helps, what the scheme demands with 401."""
    headers = dict(error.headers) if isinstance(error, Refusal) else {}
    status = status_of(error)
    wait_ms = _wait_ms(error, status)
    if wait_ms is not None:
        headers["Retry-After"] = str(max(1, -(-wait_ms // 1000)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="hubbub"')
    return headers


def encode(document: Problem) -> bytes:
    return msgspec.json.encode(document)


_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[([0-9]+)\]")


def pointer(field: str) -> str:
    """The RFC 6901 pointer of a path as errors name it: `members[2].user` becomes `/members/2/user`.

    A step that is not told (`[...]`, the value of some key) ends it: the pointer leads to the nearest known ancestor.
    """
    steps: list[str] = []
    at = 0
    while (match := _STEP.match(field, at)) is not None:
        steps.append(match[1] or match[2])
        at = match.end()
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps if step != "...")


def _wait_ms(error: ClientError, status: HTTPStatus) -> int | None:
    if error.retry_after_ms is not None:
        return error.retry_after_ms
    return RETRY_AFTER_MS if status in _WAITING else None
