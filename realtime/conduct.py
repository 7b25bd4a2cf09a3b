"""How a connection behaves: commands that come too soon, and those refused again and again. Who goes on is closed."""

from typing import Final, Protocol

import structlog

from realtime.backend import Peer
from realtime.protocol import codes
from realtime.protocol.codes import Disconnect, ErrorCode
from realtime.protocol.messages import Command, Error, Invalid, Reply, UnsubscribeRequest, failure
from realtime.rates import Meter
from realtime.settings import Settings
from realtime.stats import Stats

log = structlog.get_logger(__name__)

_OF_CONTENT: Final = frozenset(
    code.code
    for code in (
        codes.UNAUTHORIZED,
        codes.UNKNOWN_CHANNEL,
        codes.PERMISSION_DENIED,
        codes.METHOD_NOT_FOUND,
        codes.LIMIT_EXCEEDED,
        codes.BAD_REQUEST,
        codes.NOT_AVAILABLE,
    )
)
"""Errors that the same command gets again however often it is sent."""


class Context(Protocol):
    """What of a process this needs."""

    @property
    def settings(self) -> Settings: ...

    @property
    def stats(self) -> Stats: ...

    def monotonic(self) -> float: ...


class Connection(Protocol):
    """A session, as far as this is concerned."""

    client: str
    meter: Meter
    peer: Peer

    @property
    def user(self) -> str: ...

    @property
    def ended(self) -> bool: ...

    @property
    def context(self) -> Context: ...

    def reply(self, reply: Reply) -> None: ...

    def end(self, disconnect: Disconnect, reason: str = "") -> None: ...


def came_too_soon(connection: Connection, item: Command | Invalid, wait_s: float) -> bool:
    """Refuse a command for which there was no token. False: it has to be done all the same."""
    stats, rate = connection.context.stats, connection.context.settings.rates.commands
    stats.rate_limited["connection_commands"] += 1
    _count_refusal(connection)
    if isinstance(item, Command) and isinstance(item.request, UnsubscribeRequest):
        return False  # an error would make SDKs reconnect, which costs more
    if rate is not None and item.id and not connection.ended:
        stats.failed(codes.TOO_MANY_REQUESTS.code)
        connection.reply(failure(item.id, rate.refusal(wait_s)))
    return True


def count_refused(connection: Connection, name: str, code: ErrorCode) -> None:
    """A command was refused."""
    if code is codes.TOO_MANY_REQUESTS:
        _count_refusal(connection)
    elif name != "subscribe":
        # Whoever was away may have lost any number of subscriptions meanwhile.
        _count_error(connection, code.code)


def count_answer(connection: Connection, reply: Reply) -> None:
    """A command was answered without being tried: with an error if it cannot be understood."""
    if isinstance(reply.result, Error):
        _count_error(connection, reply.result.code)


def _count_refusal(connection: Connection) -> None:
    context = connection.context
    if connection.meter.refused(context.monotonic()) and not connection.ended:
        context.stats.rate_limited["connection_refusals"] += 1
        log.info("too_many_requests", user=connection.user, client=connection.client, address=connection.peer.address)
        connection.end(codes.CLOSE_TOO_MANY_REQUESTS)


def _count_error(connection: Connection, code: int) -> None:
    if code not in _OF_CONTENT:
        return
    context = connection.context
    if connection.meter.failed(context.monotonic()) and not connection.ended:
        context.stats.rate_limited["connection_errors"] += 1
        log.info("too_many_errors", user=connection.user, client=connection.client, address=connection.peer.address)
        connection.end(codes.CLOSE_TOO_MANY_ERRORS)
