"""The one ladder from what a command raised to what the client is told."""

from typing import Final

import structlog

from realtime.protocol import codes
from realtime.protocol.codes import ClientError, Closing

log = structlog.get_logger(__name__)

_TRY_AGAIN: Final = ClientError(codes.INTERNAL, "try again", temporary=True)


def answer_to(exception: BaseException, *, command: str, user: str) -> ClientError | Closing:
    """The error to reply with, or the end of the connection. What nobody foresaw is logged with its traceback."""
    match exception:
        case Closing() | ClientError():
            return exception
        case ConnectionError() | TimeoutError():
            log.warning("dependency_unavailable", command=command, error=type(exception).__name__)
        case _:
            log.error("command_failed", command=command, user=user, exc_info=exception)
    return _TRY_AGAIN
