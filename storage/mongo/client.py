"""The connection to MongoDB: its settings, and the one place where driver errors become storage errors."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeAlias

from motor.core import AgnosticClient, AgnosticClientSession
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
)
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidOperation,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.monitoring import CommandListener
from pymongo.uri_parser import parse_uri

from storage.errors import Conflict, Contended, StorageError, Unavailable

Document: TypeAlias = dict[str, Any]
Database: TypeAlias = "AsyncIOMotorDatabase[Document]"
Collection: TypeAlias = "AsyncIOMotorCollection[Document]"
Session: TypeAlias = AgnosticClientSession
Client: TypeAlias = "AgnosticClient[Document]"

OPERATION_TIMEOUT_MS: Final = 3000
"""Budget of one operation, finding a primary included. Client SDKs give up on a reply after 5 s."""

CLOSE_TIMEOUT_S: Final = 1.0

_ALWAYS: Final[dict[str, Any]] = {
    # An acknowledgement means durable, and what was read once is never taken back by a failover.
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "retryReads": True,
    "uuidRepresentation": "unspecified",
}
_UNLESS_IN_URL: Final[dict[str, Any]] = {
    "timeoutMS": OPERATION_TIMEOUT_MS,
    "serverSelectionTimeoutMS": 3000,
    "connectTimeoutMS": 2000,
    "waitQueueTimeoutMS": 1000,
    "minPoolSize": 2,
    "maxIdleTimeMS": 300_000,
    # How long the driver may go on believing that there is no primary when there is one again.
    "heartbeatFrequencyMS": 2000,
}


async def _close(client: Client) -> None:
    """Close the connections, within CLOSE_TIMEOUT_S.

    The driver says goodbye to the server first and waits, where there is none, until it gives up looking for one: so
    not on the event loop, and not in a thread that somebody joins.
    """
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        client.close()
        with suppress(RuntimeError):  # the loop is closed: nobody waited for so long
            loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=close, name="close-mongodb", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await closed.wait()


def check_url(url: str) -> None:
    """Raises ValueError for what is not the URL of a MongoDB; the text does not repeat it. Asks nobody, nor DNS."""
    if not url.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("expected mongodb://… or mongodb+srv://…")
    if url.startswith("mongodb://"):
        try:
            parse_uri(url, warn=False)
        except (ConfigurationError, InvalidURI, ValueError) as error:
            raise ValueError(f"not a MongoDB URL that can be used: {error}") from None


@asynccontextmanager
async def connect(
    url: str, database: str, *, app_name: str = "hubbub", listeners: Sequence[CommandListener] = ()
) -> AsyncIterator[Database]:
    """A database of the server at `url`; closes the connections on exit. Nothing is sent until the first operation.

    Settings that bear on durability hold whatever the URL says; timeouts and the pool's size may be given in the URL.
    `listeners` see every command. Raises ValueError when the URL is not one.
    """
    try:
        in_url = {name.lower() for name in parse_uri(url, validate=False, warn=False)["options"]}
        options = {name: value for name, value in _UNLESS_IN_URL.items() if name.lower() not in in_url}
        if "maxpoolsize" not in in_url:
            # More sockets than motor has threads would never be used.
            options["maxPoolSize"] = int(os.environ["MOTOR_MAX_WORKERS"])
        loop = asyncio.get_running_loop()
        client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            url, io_loop=loop, appname=app_name, event_listeners=listeners, **options, **_ALWAYS
        )
    except (ConfigurationError, InvalidURI) as error:
        raise ValueError(f"not a MongoDB URL that can be used: {error}") from error
    try:
        yield client[database]
    finally:
        await _close(client)


@contextmanager
def translated() -> Iterator[None]:
    """Turns what the driver raises inside into a storage error. Wrap every operation in it."""
    try:
        yield
    except DuplicateKeyError as error:
        raise Conflict(f"already there: {(error.details or {}).get('keyValue')}") from error
    except PyMongoError as error:
        raise translate(error) from error


def translate(error: PyMongoError) -> StorageError:
    """The storage error that a driver error stands for."""
    if error.has_error_label("TransientTransactionError"):
        return Contended(f"MongoDB: {_brief(error)}")
    if is_temporary(error):
        return Unavailable(f"MongoDB: {_brief(error)}")
    return StorageError(f"MongoDB refused: {_brief(error)}")


def is_temporary(error: PyMongoError) -> bool:
    """Whether the server was away, changed its role, or ran out of time, so that a repeat may succeed."""
    if isinstance(error, ConnectionFailure) or error.timeout:
        return True
    if isinstance(error, InvalidOperation):
        # The client was closed under a running operation: the process is going down.
        return "after close" in str(error)
    if isinstance(error, OperationFailure) and error.code in _TEMPORARY_CODES:
        return True
    return any(error.has_error_label(label) for label in _TEMPORARY_LABELS)


_TEMPORARY_LABELS: Final = ("RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult")
_TEMPORARY_CODES: Final = frozenset(
    {
        *(6, 7, 89, 9001),  # host unreachable or not found, network timeout, socket broken
        *(50, 262),  # out of time
        *(64, 100),  # a write that too few members confirmed
        *(91, 11600, 11602, 10107, 13435, 13436, 189),  # shutting down or not the primary
        *(112, 246, 251),  # lost against a concurrent transaction
        *(202, 365),  # overloaded or out of connections
    }
)


def _brief(error: PyMongoError) -> str:
    """The first line without the topology dump that the driver appends."""
    return str(error).partition(", Timeout:")[0].partition(", full error:")[0][:300]
