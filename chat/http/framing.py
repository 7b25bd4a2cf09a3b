"""What a request must be before anybody looks at it: HTTP/1.0 or 1.1, chunked at most, for a host that can be one.

The parser lets these pass, and a proxy in front may take them for something else.
"""

import re
from typing import Final

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


@web.middleware
async def framed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises web.HTTPException: 505 for other versions, 501 for other transfer codings, 400 for a host that is none."""
    refused: type[web.HTTPException] | None = None
    if request.version not in (HttpVersion10, HttpVersion11):
        refused = web.HTTPVersionNotSupported
    elif request.headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower() != "chunked":
        refused = web.HTTPNotImplemented
    elif _HOST.fullmatch(request.headers.get(hdrs.HOST, "")) is None:
        refused = web.HTTPBadRequest
    if refused is not None:
        # Where such a request ends is not certain, so nothing that follows it on the connection is one.
        request.protocol.close()
        raise refused(headers={hdrs.CONNECTION: "close"})
    return await handler(request)


async def expected(request: web.Request) -> None:
    """For `expect_handler`: says 100 to who asks for it, and 417 to any other wish without repeating it."""
    if request.version == HttpVersion11:
        if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
            raise web.HTTPExpectationFailed(text="417 Expectation Failed\n")
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written so far is no part of the answer.
        request.writer.output_size = 0


def with_expect(route: web.RouteDef) -> web.RouteDef:
    """The route, answering to `Expect` by `expected`."""
    return web.RouteDef(route.method, route.path, route.handler, {**route.kwargs, "expect_handler": expected})
