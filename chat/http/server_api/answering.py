"""The one ladder from what a method of the server API raised to `{"error": {code, message}}`."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import structlog
from msgspec import Struct

from chat.http.server_api.results import Error, Reply
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

log = structlog.get_logger(__name__)


async def answered(work: Awaitable[Struct], method: str) -> Reply:
    """The result of `work` as a reply. Never raises but `CancelledError`."""
    try:
        return Reply(result=await work)
    except ClientError as error:
        return refused(error)
    except (ConnectionError, TimeoutError) as error:
        log.warning("dependency_unavailable", method=method, error=type(error).__name__)
        return refused(ClientError(codes.INTERNAL, "try again"))
    except Exception:
        log.exception("api_method_failed", method=method)
        return refused(ClientError(codes.INTERNAL, "a fault of the server; its log has more"))


@contextmanager
def within(field: str) -> Iterator[None]:
    """Fields that are refused inside are parts of `field`: `$.text` becomes `$.data.text`."""
    try:
        yield
    except ClientError as error:
        if error.code is not codes.BAD_REQUEST:
            raise
        raise ClientError(error.code, error.detail, f"{field}.{error.field}".rstrip(".")) from None


def refused(error: ClientError) -> Reply:
    return Reply(error=Error(error.code.code, error.message))
