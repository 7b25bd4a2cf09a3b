"""What answers of the playground have in common: the policy of its pages, and who may ask for what is no file."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web

MAX_BODY_BYTES: Final = 1_024
"""Of a request, which is a name or two in a JSON object."""

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
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def same_origin(request: web.Request) -> bool:
    """Browsers name the page that asks in Origin. Hosts are compared: behind a proxy the scheme is not ours to know."""
    origins = request.headers.getall(hdrs.ORIGIN, [])
    if len(origins) != 1 or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    try:
        return urlsplit(origins[0]).netloc.lower() == request.host.lower()
    except ValueError:  # `http://[`
        return False


def own_name(host: str, public_host: str) -> bool:
    """Whether a Host is an address, this machine or the server's own name. Any other name may be a stranger's that was
    made to lead here (DNS rebinding): its page would be of the same origin.
    """
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    try:
        ip_address(name)
    except ValueError:
        return name in ("localhost", public_host) or name.endswith(".localhost")
    return True


async def read_body(request: web.Request) -> bytes | None:
    """The body, or None when it is longer than it may be."""
    data = bytearray()
    async for chunk in request.content.iter_chunked(MAX_BODY_BYTES):
        data += chunk
        if len(data) > MAX_BODY_BYTES:
            return None
    return bytes(data)


def json_answer(status: int, body: object) -> web.Response:
    headers = {**HEADERS, hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(status=status, body=msgspec.json.encode(body), headers=headers, content_type="application/json")


def problem(status: int, code: str, detail: str) -> web.Response:
    """RFC 9457, as REST has it."""
    told = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "code": code, "detail": detail}
    answer = json_answer(status, told)
    answer.content_type = "application/problem+json"
    return answer
