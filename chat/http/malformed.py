"""What is said about requests that are no HTTP: a line to the log, the status to the sender, what it sent to nobody.

To aiohttp they are errors with a traceback each, which lets any stranger fill the log, and its answers quote them.
"""

import asyncio
import logging
import re
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

log = structlog.get_logger(__name__)

MAX_REASON_CHARS: Final = 100
_QUOTED: Final = re.compile(r"[\n'\"]| b'")
"""Where the parser's text goes on with what it could not read."""


class RequestLog(logging.Logger):
    """For `web.AppRunner(logger=…)`. Passes on everything else to aiohttp's own logger."""

    def __init__(self) -> None:
        super().__init__(server_logger.name)
        self.parent = server_logger

    def debug(self, msg: object, *args: object, exc_info: Any = None, **more: Any) -> None:
        # Where aiohttp tells of a method that is none, when it is the first thing on a connection.
        if isinstance(exc_info, HttpProcessingError):
            exc_info = None
        super().debug(msg, *args, exc_info=exc_info, **more)

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        if isinstance(exc_info, HttpProcessingError):
            said = _QUOTED.split(exc_info.message, maxsplit=1)[0].strip(" :")[:MAX_REASON_CHARS]
            reason = f"{type(exc_info).__name__}: {said}" if said else type(exc_info).__name__
            log.info("request_malformed", remote=args[0] if args else None, status=exc_info.code, reason=reason)
        elif msg == "Unhandled exception" and isinstance(exc_info, asyncio.InvalidStateError):
            # It wakes who waited for its last answer, and at the end of the process nobody waits any more.
            log.info("request_broken_off")
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)


class PlainHandler(web.RequestHandler):
    """One connection, as aiohttp serves it; what it answers by itself is the status alone."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        response = super().handle_error(request, status, exc, f"{status} {HTTPStatus(status).phrase}\n")
        response.headers[hdrs.SERVER] = "hubbub"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
