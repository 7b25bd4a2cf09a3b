"""The requests that are being answered, for whoever waits for them before the process ends."""

import asyncio

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler


class InFlight:
    """Counts requests (sockets are no requests, they have an end of their own). `leaving`: connections end with the
    answer to what they ask next, so that kept ones find another process.
    """

    def __init__(self) -> None:
        self.count = 0
        self.leaving = False
        self._idle = asyncio.Event()
        self._idle.set()

    @web.middleware
    async def counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if hdrs.UPGRADE in request.headers:
            return await handler(request)
        self.count += 1
        self._idle.clear()
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            self._end_with(answer)
            raise
        finally:
            self.count -= 1
            if not self.count:
                self._idle.set()
        self._end_with(response)
        return response

    def _end_with(self, response: web.StreamResponse) -> None:
        if self.leaving and not response.prepared:
            response.force_close()

    async def done(self, at_most_s: float, hurry: asyncio.Event) -> None:
        """Wait until none is left, at most so long."""
        waits = [asyncio.create_task(event.wait()) for event in (self._idle, hurry)]
        try:
            await asyncio.wait(waits, timeout=at_most_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
