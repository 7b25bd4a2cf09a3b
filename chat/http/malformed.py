"""What is said in the log about requests that are no HTTP: a line. To aiohttp they are errors with a traceback each,
which lets any stranger fill the log.
"""

import logging
from typing import Any

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

log = structlog.get_logger(__name__)

MAX_REASON_CHARS = 100


class RequestLog(logging.Logger):
    """For `web.AppRunner(logger=…)`. Passes on everything else to aiohttp's own logger."""

    def __init__(self) -> None:
        super().__init__(server_logger.name)
        self.parent = server_logger

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        if isinstance(exc_info, HttpProcessingError):
            reason = " ".join(exc_info.message.split())[:MAX_REASON_CHARS]
            log.info("request_malformed", remote=args[0] if args else None, status=exc_info.code, reason=reason)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)
