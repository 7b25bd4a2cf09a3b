"""How long the peer of an HTTP connection may take: to ask, to send what it announced, to read its answer, to leave.

A socket costs memory and a descriptor for as long as it is there, so every wait for a peer has an end. WebSockets have
deadlines of their own from the upgrade on.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from aiohttp import web

from chat.http.malformed import PlainHandler
from realtime.wire import abort

log = structlog.get_logger(__name__)

HEADERS_TIMEOUT_S: Final = 10.0
"""From a connection's beginning to the end of its first headers. Later ones have the keep-alive time."""

ANSWER_TIMEOUT_S: Final = 30.0
"""For taking an answer that is small enough for a page; files have `FILE_TIMEOUT_S`."""

FILE_TIMEOUT_S: Final = 3600.0

LEAVE_TIMEOUT_S: Final = 5.0
"""For what is still to be sent when a connection ends; then it is reset."""

LINGERING_S: Final = 1.0
"""How long the rest of a body is thrown away that nobody wants, so that its sender reads the answer."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A body may take `grace_s`, and a second more for every `bytes_per_s` that have come."""

    grace_s: float
    bytes_per_s: int

    def allowed_s(self, received_bytes: int) -> float:
        """How long a body may have taken at most when so much of it has come and more is awaited."""
        return self.grace_s + received_bytes / self.bytes_per_s


BODY_PACE: Final = Pace(10.0, 16 * 1024)
UPLOAD_PACE: Final = Pace(20.0, 8 * 1024)


class TimedHandler(PlainHandler):
    """One connection; see the module."""

    __slots__ = ("_deadline", "_link")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._link = cast("asyncio.Transport", transport)
        self._deadline: asyncio.TimerHandle | None = self._loop.call_later(HEADERS_TIMEOUT_S, self._look_for_request)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._put_off()
        super().connection_lost(exc)

    async def start(self) -> None:
        """Serve requests until the connection is to end. The library then closes it, which waits for its buffer to be
        taken, for ever if need be.
        """
        try:
            await super().start()
        finally:
            self._put_off()
            if self._manager is not None:
                self._deadline = self._loop.call_later(LEAVE_TIMEOUT_S, self._abort)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.WebSocketResponse):
            return await super().finish_response(request, resp, start_time)
        try:
            async with asyncio.timeout(FILE_TIMEOUT_S if isinstance(resp, web.FileResponse) else ANSWER_TIMEOUT_S):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            log.info("answer_not_taken", remote=request.remote)
            self._abort()
            return resp, True

    def _look_for_request(self) -> None:
        self._deadline = None
        if not self._request_count:
            self._abort()

    def _abort(self) -> None:
        self._deadline = None
        abort(self._link)

    def _put_off(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def timed(server: web.Server, options: Mapping[str, Any]) -> Callable[[], TimedHandler]:
    """Makes the connections of a server: for `loop.create_server`, in the place of the server itself.

    `options` are those of `web.AppRunner` that its handlers understand; the server keeps them to itself.
    """
    loop = asyncio.get_running_loop()
    return lambda: TimedHandler(server, loop=loop, **{**options, "lingering_time": LINGERING_S})
