"""`PUT` and `GET /uploads/<id>`: the files of the store on disk, for whoever has a signed link.

No token is looked at: the link is the permission. What is served runs nothing in a browser: only types that are
harmless are shown in place, under a policy that forbids everything else.
"""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from chat.files.disk import DiskFiles
from chat.files.dispositions import disposition, served_type
from chat.files.links import PATH, LinkRefused
from chat.http.deadlines import UPLOAD_PACE
from chat.http.deps import HttpDeps
from chat.http.problems import Refusal
from chat.usecases.failures import Unseen
from chat.usecases.files import FilesAway, Unacceptable
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

CHUNK_BYTES: Final = 256 * 1024
AT_A_TIME: Final = 64
_RETRY_AFTER_S: Final = "2"
_MAX_AGE_S: Final = 3600

_SERVED: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; sandbox; frame-ancestors 'none'",
    # Pages of the application show these images and play these films.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def upload_routes(deps: HttpDeps) -> list[web.RouteDef]:
    """None when files are not on this machine's disk."""
    files = deps.files
    if not isinstance(files, DiskFiles):
        return []
    serving = _Serving(deps, files)
    path = f"{PATH}{{upload:[a-z2-7]{{26}}}}"
    return [web.put(path, serving.put), web.get(path, serving.get)]


class _Serving:
    def __init__(self, deps: HttpDeps, files: DiskFiles) -> None:
        self._deps = deps
        self._files = files
        self._receiving = 0

    async def put(self, request: web.Request) -> web.Response:
        """Take a file of exactly the announced size and type."""
        upload, said = self._said(request, hdrs.METH_PUT)
        size_bytes = int(said["size"])
        self._check_headers(request, size_bytes, said["type"])
        await self._require_expected(upload)
        if self._receiving >= AT_A_TIME:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                codes.UNAVAILABLE,
                "too many files are being put just now; put it again",
                headers={hdrs.RETRY_AFTER: _RETRY_AFTER_S, hdrs.CONNECTION: "close"},
            )
        self._receiving += 1
        try:
            await self._files.receive(upload, size_bytes, _chunks(request))
            await self._require_expected(upload, received=True)
        except Unacceptable as error:
            raise _closing(HTTPStatus.BAD_REQUEST, str(error)) from None
        except FilesAway as error:
            raise ClientError(codes.UNAVAILABLE, "the file could not be stored; put it again") from error
        finally:
            self._receiving -= 1
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=_SERVED)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The file, or a range of it."""
        upload, said = self._said(request, hdrs.METH_GET)
        path = self._files.path(upload, said["file"])
        if not await asyncio.to_thread(path.is_file):
            raise Unseen("the file is gone: nothing uses it any more", "upload")
        headers = {
            **_SERVED,
            hdrs.CONTENT_TYPE: served_type(said["type"]),
            hdrs.CONTENT_DISPOSITION: disposition(said["name"], said["type"]),
            hdrs.CACHE_CONTROL: f"private, max-age={_MAX_AGE_S}, immutable",
        }
        return web.FileResponse(path, chunk_size=CHUNK_BYTES, headers=headers)

    def _said(self, request: web.Request, verb: str) -> tuple[str, dict[str, str]]:
        """The id and what the link says. Raises Refusal."""
        upload = request.match_info["upload"]
        try:
            return upload, self._files.links.check(verb, upload, request.query, now=self._deps.clock_ms())
        except LinkRefused as error:
            raise Refusal(
                HTTPStatus.FORBIDDEN, codes.PERMISSION_DENIED, str(error), headers={hdrs.CONNECTION: "close"}
            ) from None

    async def _require_expected(self, upload: str, *, received: bool = False) -> None:
        """Raises Refusal. What came too late, because it came slowly, does not stay."""
        if await self._deps.calls.service.uploads.expected(upload):
            return
        if received:
            await self._files.drop_put(upload)
        raise Refusal(
            HTTPStatus.CONFLICT,
            codes.CONFLICT,
            "it is complete already, or was removed; take a new upload",
            headers={hdrs.CONNECTION: "close"},
        )

    def _check_headers(self, request: web.Request, size_bytes: int, content_type: str) -> None:
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
            raise _closing(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the file must not be compressed on its way")
        if request.headers.get(hdrs.CONTENT_TYPE, "") != content_type:
            raise _closing(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type must be {content_type}, as announced")
        if request.content_length is not None and request.content_length != size_bytes:
            raise _closing(
                HTTPStatus.BAD_REQUEST, f"Content-Length must be {size_bytes}, as announced; a new size is a new upload"
            )


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    chunks = request.content.iter_chunked(CHUNK_BYTES)
    started, received = asyncio.get_running_loop().time(), 0
    while True:
        try:
            async with asyncio.timeout_at(started + UPLOAD_PACE.allowed_s(received)):
                chunk = await anext(chunks, b"")
        except TimeoutError:
            raise _closing(
                HTTPStatus.REQUEST_TIMEOUT, f"the file comes at less than {UPLOAD_PACE.bytes_per_s} bytes a second"
            ) from None
        except (web.RequestPayloadError, ConnectionError):
            raise _closing(HTTPStatus.BAD_REQUEST, "the file broke off") from None
        if not chunk:
            return
        received += len(chunk)
        yield chunk


def _closing(status: HTTPStatus, detail: str) -> Refusal:
    """A refusal while the body is still on its way: it is not waited for."""
    return Refusal(status, codes.BAD_REQUEST, detail, headers={hdrs.CONNECTION: "close"})
