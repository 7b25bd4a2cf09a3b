"""Answers of the admin page: headers that every one of them carries, problem documents, and what a request must
bring.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web

MAX_BODY_BYTES: Final = 4_096

# No inline script or style anywhere, nothing from elsewhere, no frames; strings never become markup.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
SECURITY: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STRICT_TRANSPORT: Final = "max-age=31536000"

NO_STORE: Final = {**SECURITY, "Cache-Control": "no-store"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body")


async def strict_transport(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare` where browsers come by HTTPS: they never come to the admin page by HTTP again."""
    if request.path == "/admin" or request.path.startswith("/admin/"):
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT


class Refused(Exception):
    """The request is answered with a problem document: `slug` names what is wrong, `detail` says it to a person."""

    def __init__(self, status: int, slug: str, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{slug}: {detail}")
        self.status = status
        self.slug = slug
        self.detail = detail
        self.retry_after_s = retry_after_s


def answering(handler: Handler) -> Handler:
    """`handler`, with `Refused` turned into its answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return problem(refused)

    return answer


def problem(refused: Refused) -> web.Response:
    """RFC 9457."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": refused.slug.replace("_", " "),
        "status": refused.status,
        "code": refused.slug,
        "detail": refused.detail,
    }
    headers = dict(NO_STORE)
    if refused.retry_after_s is not None:
        body["retry_after_ms"] = round(refused.retry_after_s * 1000)
        headers[hdrs.RETRY_AFTER] = str(max(1, round(refused.retry_after_s)))
    return web.Response(
        status=refused.status,
        body=msgspec.json.encode(body),
        headers=headers,
        content_type="application/problem+json",
    )


def json(body: object) -> web.Response:
    """200, never stored."""
    return web.Response(body=msgspec.json.encode(body), headers=NO_STORE, content_type="application/json")


def require_same_origin(request: web.Request) -> None:
    """Refuse what a page of another site made a browser send. A client that is no browser sends neither header.

    Compares hosts, not schemes: behind a proxy that ends TLS we do not know ours. The cookie is SameSite=Strict as
    well.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get(hdrs.ORIGIN)
    if site != "same-origin" or (origin is not None and _host_of(origin) != request.host.lower()):
        raise Refused(403, "foreign_origin", "this must come from the admin page itself")


def _host_of(origin: str) -> str:
    """The host of an origin, empty for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def read_json(request: web.Request, kind: type[Body]) -> Body:
    """The body as `kind`. Refused with 415, 413 or 400 and the rule that it breaks."""
    if request.content_type != "application/json":
        raise Refused(415, "unsupported_media_type", "Content-Type must be application/json")
    data = bytearray()
    async for chunk in request.content.iter_chunked(MAX_BODY_BYTES):
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            raise Refused(413, "limit_exceeded", f"the body may have {MAX_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(bytes(data), type=kind)
    except msgspec.DecodeError as error:
        raise Refused(400, "bad_request", str(error)) from None
