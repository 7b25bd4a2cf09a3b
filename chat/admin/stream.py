"""Server-sent events of the page: everything first, then what is new every second.

`full`: `{scope, overview, history, trends, kept_s}`, history being the columns of the asked scope, trends the last
minute of deliveries of each process. `tick`: `{overview}`. The id of an event is its time in ms, which means the same
on every process: a browser that comes back, to this process or another, names the last one it saw and gets the part of
the history that it missed.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import hdrs, web

from chat.admin.history import KEPT_S
from chat.admin.http import NO_STORE, Refused
from chat.admin.live import Live

MAX_STREAMS: Final = 32
"""Open streams of one process: each is a browser tab that is being looked at."""

TREND_POINTS: Final = 60

WRITE_TIMEOUT_S: Final = 10.0
"""A browser that takes nothing for this long is let go."""

SILENCE_S: Final = 5.0
"""After so long without news a comment is sent: the page then knows that it is the reading that hangs, not the line."""


class Streams:
    """The open streams of one process, counted."""

    def __init__(self, live: Live, *, clock: Callable[[], int]) -> None:
        self._live = live
        self._clock = clock
        self._open = 0

    async def serve(self, request: web.Request, *, until: int) -> web.StreamResponse:
        """Stream until the browser goes, the session ends at `until` (ms) or the process does. Refused at the bound."""
        scope, after = _scope(request), _after(request)
        if self._open >= MAX_STREAMS:
            raise Refused(503, "too_many_streams", f"{MAX_STREAMS} tabs are open already", retry_after_s=10)
        response = web.StreamResponse(
            headers={**NO_STORE, hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}
        )
        self._open += 1
        try:
            await response.prepare(request)
            await self._send_all(response, scope, after, until)
        except ConnectionError:
            pass  # the browser went, or the live view ended
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._open -= 1
        return response

    async def _send_all(self, response: web.StreamResponse, scope: str, after: int, until: int) -> None:
        with self._live.watching():
            overview = await self._live.overview()
            history = self._live.history.columns(scope, after=after)
            trends = {
                view.process: self._live.history.trend(f"process:{view.process}", "out_per_s", TREND_POINTS)
                for view in overview.processes
            }
            full = {"scope": scope, "overview": overview, "history": history, "trends": trends, "kept_s": KEPT_S}
            await _send(response, b"retry: 1000\n" + _event("full", overview.at, full))
            while self._clock() < until:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        overview = await self._live.next()
                except TimeoutError:
                    await _send(response, b": no news\n\n")
                    continue
                await _send(response, _event("tick", overview.at, {"overview": overview}))


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(data)


def _event(name: str, at: int, body: object) -> bytes:
    # JSON has no newline in it, so one data line is enough.
    return b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), at, msgspec.json.encode(body))


def _scope(request: web.Request) -> str:
    scope = request.query.get("scope", "total")
    if len(scope) > 128:
        raise Refused(400, "bad_request", "scope: at most 128 characters")
    return scope


def _after(request: web.Request) -> int:
    """Where the page is, from the header of a browser that reconnects by itself, or from the query of one that
    reopens.
    """
    given = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 15 else 0
