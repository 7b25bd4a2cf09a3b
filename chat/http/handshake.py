"""Whether a request is a WebSocket handshake as RFC 6455 wants it: asked before the upgrade, refused as plain HTTP.

The library takes more: other versions, any key of the right length, HTTP/1.0, a body. What it would refuse is refused
here first, because its answers repeat what was sent.
"""

import re
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, hdrs, web

from realtime.incoming import SUBPROTOCOLS

_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""16 bytes in base64, as there is one way to write them."""

_ONCE: Final = (hdrs.UPGRADE, hdrs.SEC_WEBSOCKET_KEY, hdrs.SEC_WEBSOCKET_VERSION)
_VERSION: Final = "13"


class NotAHandshake(web.HTTPException):
    """The answer to a request that is not upgraded. Nothing of the request is in it, and the connection ends."""

    def __init__(self, status: HTTPStatus, rule: str, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        super().__init__(text=f"{rule}\n", headers=headers)
        # What may stand behind it is nobody's next request.
        self.force_close()


def check_handshake(request: web.Request) -> None:
    """Raises NotAHandshake for what is none: 400, 426 where another upgrade would do, 505 for another HTTP."""
    headers = request.headers
    if request.version != HttpVersion11:
        newer = request.version > HttpVersion11
        raise NotAHandshake(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED if newer else HTTPStatus.BAD_REQUEST,
            "a WebSocket is opened with HTTP/1.1",
        )
    if request.method != hdrs.METH_GET:
        raise NotAHandshake(HTTPStatus.METHOD_NOT_ALLOWED, "a WebSocket is opened with GET", {hdrs.ALLOW: "GET"})
    for name in _ONCE:
        if len(headers.getall(name, ())) > 1:
            raise NotAHandshake(HTTPStatus.BAD_REQUEST, f"{name} is there more than once")
    if headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket" or not _connection_upgrade(request):
        raise NotAHandshake(
            HTTPStatus.UPGRADE_REQUIRED,
            "this is a WebSocket: Connection: Upgrade and Upgrade: websocket are needed",
            {hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade"},
        )
    if headers.get(hdrs.SEC_WEBSOCKET_VERSION) != _VERSION:
        raise NotAHandshake(
            HTTPStatus.UPGRADE_REQUIRED,
            "the WebSocket version is 13",
            {hdrs.SEC_WEBSOCKET_VERSION: _VERSION, hdrs.UPGRADE: "websocket"},
        )
    if _KEY.fullmatch(headers.get(hdrs.SEC_WEBSOCKET_KEY, "")) is None:
        raise NotAHandshake(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key is 16 bytes in base64")
    if headers.get(hdrs.CONTENT_LENGTH, "0") != "0" or hdrs.TRANSFER_ENCODING in headers:
        raise NotAHandshake(HTTPStatus.BAD_REQUEST, "a handshake has no body")
    if hdrs.SEC_WEBSOCKET_PROTOCOL in headers and not _offered(request):
        raise NotAHandshake(
            HTTPStatus.BAD_REQUEST, f"Sec-WebSocket-Protocol is {' or '.join(filter(None, SUBPROTOCOLS))}, or nothing"
        )


def _connection_upgrade(request: web.Request) -> bool:
    values = request.headers.getall(hdrs.CONNECTION, ())
    return any(token.strip().lower() == "upgrade" for value in values for token in value.split(","))


def _offered(request: web.Request) -> bool:
    # The library looks at the first of several headers, and logs all that is offered where it finds nothing.
    first = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
    return any(name.strip() in SUBPROTOCOLS for name in first.split(","))
