"""Serves the documents: `GET /openapi.json`, `GET /asyncapi.json`."""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass

from aiohttp import hdrs, web

from chat.description.files import documents
from chat.description.service import ASYNCAPI_PATH, OPENAPI_PATH
from chat.http.answers import accepts_gzip, matches

_HEADERS = {
    # Open to the tools of any page: there is nothing here that differs between callers.
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _Served:
    plain: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, data: bytes) -> "_Served":
        return cls(data, gzip.compress(data, mtime=0), hashlib.blake2b(data, digest_size=12).hexdigest())


def description_routes() -> list[web.RouteDef]:
    """Made when somebody asks first, beside the event loop."""
    served: dict[str, _Served] = {}
    making = asyncio.Lock()

    async def get(request: web.Request) -> web.Response:
        async with making:
            if not served:
                made = await asyncio.to_thread(documents)
                served.update({f"/{name}": _Served.of(data) for name, data in made.items()})
        return _answer(request, served[request.path])

    return [web.get(OPENAPI_PATH, get), web.get(ASYNCAPI_PATH, get)]


def _answer(request: web.Request, document: _Served) -> web.Response:
    packed = accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    headers = {**_HEADERS, hdrs.ETAG: f'"{document.tag}{"-gzip" if packed else ""}"'}
    if matches(request.headers.get(hdrs.IF_NONE_MATCH, ""), document.tag):
        return web.Response(status=304, headers=headers)
    if packed:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(
        body=document.packed if packed else document.plain, headers=headers, content_type="application/json"
    )
