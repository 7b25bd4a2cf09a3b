"""The one ladder from what storage raises to what a client is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import Conflict, Invalid, LimitReached, NotFound, Overloaded, StorageError, Unavailable


class Unseen(ClientError):
    """What is asked for is missing, or not for the caller to know of: the two get the same answer.

    Error 103 over the socket, where it is one with "not allowed"; in REST it is 404, and "not allowed" is 403.
    """

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(codes.PERMISSION_DENIED, detail, field)


def client_error(error: StorageError) -> ClientError:
    """What the client may know of a storage error."""
    match error:
        case Denied():
            return error.error
        case Unavailable():
            return ClientError(
                codes.UNAVAILABLE, "the store does not answer just now; the same request may be repeated"
            )
        case Overloaded():
            return ClientError(
                codes.TOO_MANY_REQUESTS, "more is being written than the store takes", retry_after_ms=1000
            )
        case NotFound():
            return Unseen("not found, or not yours to see")
        case LimitReached():
            return ClientError(codes.LIMIT_EXCEEDED, str(error))
        case Conflict():
            return ClientError(codes.CONFLICT, str(error))
        case Invalid():
            return ClientError(codes.BAD_REQUEST, str(error))
        case _:
            return ClientError(codes.INTERNAL, "try again")


class Denied(StorageError):
    """A refusal that is decided within a transaction, by what is found there. Nothing is written."""

    def __init__(self, error: ClientError) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def denied() -> Iterator[None]:
    """Lets a refusal out of a transaction. Everything else passes."""
    try:
        yield
    except ClientError as error:
        raise Denied(error) from error


class told:  # noqa: N801 - used like a function; a class, because it is on the path of every call and costs a third
    """Turns storage errors into client errors. Everything else passes."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StorageError):
            raise client_error(error) from error
