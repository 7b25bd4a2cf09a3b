"""What a connection may do when: the state machine of one connection. No codec, no bytes, no clock, no tasks.

The driver feeds decoded messages one at a time and does what comes back. It feeds nothing while a connect is being
decided (`Connecting`): clients pipeline commands behind their connect, which wait until `connected` or `refused` was
called. Times are seconds on one monotonic clock that the driver reads.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from msgspec import Struct

from realtime.protocol.codes import (
    BAD_REQUEST,
    CLOSE_BAD_REQUEST,
    CLOSE_EXPIRED,
    CLOSE_NO_CONNECT,
    CLOSE_NO_PONG,
    NOT_AVAILABLE,
    ClientError,
    Disconnect,
)
from realtime.protocol.messages import (
    Command,
    ConnectRequest,
    HistoryRequest,
    Invalid,
    Payload,
    PingRequest,
    PingResult,
    Pong,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    Received,
    RefreshRequest,
    Reply,
    Request,
    RPCRequest,
    SendRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
    failure,
)

_NULL: Final = Payload(b"null")


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """`ping_interval_s` is told to clients, which give up after it plus 10 s of silence."""

    connect_timeout_s: float = 25.0
    ping_interval_s: float = 25.0
    pong_timeout_s: float = 8.0
    expired_close_delay_s: float = 25.0
    max_command_data_bytes: int = 65_536


# --- states ---


@dataclass(slots=True)
class AwaitingConnect:
    """`refused`: a connect failed; until the next one everything is dropped in silence."""

    deadline_at: float
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Connecting:
    deadline_at: float


@dataclass(slots=True)
class Connected:
    """Infinity means: not awaited."""

    ping_at: float
    expired_close_at: float
    pong_deadline_at: float = math.inf


@dataclass(frozen=True, slots=True)
class Closed:
    pass


State: TypeAlias = AwaitingConnect | Connecting | Connected | Closed
_CLOSED: Final = Closed()


# --- effects ---

Invocation: TypeAlias = (
    ConnectRequest
    | SubscribeRequest
    | UnsubscribeRequest
    | PublishRequest
    | PresenceRequest
    | PresenceStatsRequest
    | HistoryRequest
    | RPCRequest
    | RefreshRequest
    | SubRefreshRequest
)


class Invoke(Struct, frozen=True, gc=False):
    """Do what is asked and reply under this id. An `UnsubscribeRequest` is always answered with its result."""

    id: int
    request: Invocation


class Answer(Struct, frozen=True, gc=False):
    """Send this reply."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; the machine is closed already."""

    disconnect: Disconnect
    reason: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Send the codec's ping, ahead of queued data."""


Effect: TypeAlias = Invoke | Answer | Close
_PING: Final = Ping()
_UNREAD_S: Final = 1.0
"""For so long after the connection was last not read, a pong that was due may still be found in what is read next."""


class ConnectionMachine:
    """One connection, from the upgrade on. Never raises on anything that a client sends."""

    __slots__ = ("_settings", "_state")

    def __init__(self, settings: ConnectionSettings, *, now: float) -> None:
        self._settings = settings
        self._state: State = AwaitingConnect(now + settings.connect_timeout_s)

    @property
    def state(self) -> State:
        return self._state

    @property
    def due_at(self) -> float:
        """When `tick` is needed next; infinity for never. Any call may move it, earlier or later."""
        match self._state:
            case AwaitingConnect(deadline_at=deadline_at):
                return deadline_at
            case Connected(ping_at=ping_at, expired_close_at=expired_close_at, pong_deadline_at=pong_deadline_at):
                return min(ping_at, expired_close_at, pong_deadline_at)
            case _:
                return math.inf

    def receive(self, item: Received) -> Effect | None:
        """What is to be done about a message; None: nothing. Any message proves the peer alive, as its pong does."""
        match self._state:
            case Connected() as state:
                state.pong_deadline_at = math.inf
                return self._command(item)
            case AwaitingConnect() as state:
                return self._before_connect(item, state)
            case Connecting():
                return (
                    None if isinstance(item, Pong) else self._close(CLOSE_BAD_REQUEST, "command before connect is done")
                )
            case Closed():
                return None

    def connected(self, expire_at_s: float | None, now: float, *, first_ping_after_s: float | None = None) -> None:
        """The connect was accepted. `expire_at_s`: when the token expires, on the clock of `now`; None: never.

        `first_ping_after_s` spreads the pings of connections that came together (default: a whole interval).
        """
        match self._state:
            case Connecting():
                after_s = self._settings.ping_interval_s if first_ping_after_s is None else first_ping_after_s
                self._state = Connected(now + after_s, self._expired_close_at(expire_at_s))
            case Closed():
                pass
            case state:
                raise _misused(state)

    def refused(self) -> None:
        """The connect was answered with an error. The client may try again here, within the first deadline."""
        match self._state:
            case Connecting(deadline_at=deadline_at):
                self._state = AwaitingConnect(deadline_at, refused=True)
            case Closed():
                pass
            case state:
                raise _misused(state)

    def refreshed(self, expire_at_s: float | None) -> None:
        """A new token was accepted; `expire_at_s` as in `connected`."""
        match self._state:
            case Connected() as state:
                state.expired_close_at = self._expired_close_at(expire_at_s)
            case Closed():
                pass
            case state:
                raise _misused(state)

    def close(self) -> None:
        """The connection ended, whoever ended it. Everything after it is ignored."""
        self._state = _CLOSED

    def unread(self, now: float) -> None:
        """The connection is not being read at the moment: a pong may be there already. No close for want of it yet."""
        if isinstance(self._state, Connected) and self._state.pong_deadline_at != math.inf:
            self._state.pong_deadline_at = max(self._state.pong_deadline_at, now + _UNREAD_S)

    def tick(self, now: float) -> list[Ping | Close]:
        """What the passing of time asks for. Harmless when early; a late call sends one ping, not those missed."""
        match self._state:
            case AwaitingConnect(deadline_at=deadline_at) if now >= deadline_at:
                return [self._close(CLOSE_NO_CONNECT)]
            case Connected() as state:
                return self._tick_connected(state, now)
            case _:
                return []

    def _tick_connected(self, state: Connected, now: float) -> list[Ping | Close]:
        if now >= state.expired_close_at:
            return [self._close(CLOSE_EXPIRED)]
        if now >= state.pong_deadline_at:
            return [self._close(CLOSE_NO_PONG)]
        if now >= state.ping_at:
            state.ping_at = now + self._settings.ping_interval_s
            # A deadline that already runs is not put off by another ping.
            state.pong_deadline_at = min(state.pong_deadline_at, now + self._settings.pong_timeout_s)
            return [_PING]
        return []

    def _before_connect(self, item: Received, state: AwaitingConnect) -> Effect | None:
        match item:
            case Command(id=command_id, request=ConnectRequest() as request) if command_id > 0:
                error = _refusal(request, self._settings.max_command_data_bytes)
                if error is None:
                    self._state = Connecting(state.deadline_at)
                    return Invoke(command_id, request)
                state.refused = True
                return Answer(failure(command_id, error))
            case Invalid(id=command_id, error=error) if error.field.split(".")[0] == "connect":
                state.refused = True
                return Answer(failure(command_id, error))
            case Pong():
                return None
            case _ if state.refused:
                return None
            case _:
                return self._close(CLOSE_BAD_REQUEST, "the first command must be connect")

    def _command(self, item: Received) -> Effect | None:
        match item:
            case Command(id=command_id, request=request):
                return self._request(command_id, request)
            case Invalid(id=command_id, error=error):
                return Answer(failure(command_id, error))
            case Pong():
                return None
            case _:
                assert_never(item)

    def _request(self, command_id: int, request: Request) -> Effect | None:
        match request:
            case SendRequest():
                return None
            case _ if command_id == 0:
                return self._close(CLOSE_BAD_REQUEST, "a command needs an id")
            case PingRequest():
                return Answer(Reply(command_id, PingResult()))
            case ConnectRequest():
                return self._close(CLOSE_BAD_REQUEST, "connected already")
            case _:
                error = _refusal(request, self._settings.max_command_data_bytes)
                return Invoke(command_id, request) if error is None else Answer(failure(command_id, error))

    def _close(self, disconnect: Disconnect, reason: str | None = None) -> Close:
        self._state = _CLOSED
        return Close(disconnect, disconnect.reason if reason is None else f"{disconnect.reason}: {reason}")

    def _expired_close_at(self, expire_at_s: float | None) -> float:
        return math.inf if expire_at_s is None else expire_at_s + self._settings.expired_close_delay_s


def _misused(state: State) -> RuntimeError:
    return RuntimeError(f"the driver called this while {type(state).__name__}")


def _refusal(request: Invocation, max_data_bytes: int) -> ClientError | None:
    """Why a request is refused before anybody looks at it, or None."""
    match request:
        case RPCRequest(data=data):
            return _too_large(data, max_data_bytes, "rpc.data")
        case PublishRequest(channel=channel, data=data, type=kind):
            return (
                _no_channel(channel, "publish.channel")
                or _other_type(kind, "publish.type")
                or (None if data else ClientError(BAD_REQUEST, "must be present", "publish.data"))
                or _too_large(data, max_data_bytes, "publish.data")
            )
        case SubscribeRequest(channel=channel, data=data, type=kind, tf=tf):
            return (
                _no_channel(channel, "subscribe.channel")
                or _other_type(kind, "subscribe.type")
                or (ClientError(BAD_REQUEST, "filters are not offered", "subscribe.tf") if _given(tf) else None)
                or _too_large(data, max_data_bytes, "subscribe.data")
            )
        case PresenceRequest(channel=channel):
            return _no_channel(channel, "presence.channel")
        case PresenceStatsRequest(channel=channel):
            return _no_channel(channel, "presence_stats.channel")
        case HistoryRequest(channel=channel):
            return _no_channel(channel, "history.channel")
        case SubRefreshRequest(channel=channel, type=kind):
            return _no_channel(channel, "sub_refresh.channel") or _other_type(kind, "sub_refresh.type")
        case ConnectRequest(data=data):
            return _too_large(data, max_data_bytes, "connect.data")
        case UnsubscribeRequest() | RefreshRequest():
            return None


def _no_channel(channel: str, field: str) -> ClientError | None:
    return None if channel else ClientError(BAD_REQUEST, "must not be empty", field)


def _other_type(kind: int, field: str) -> ClientError | None:
    return ClientError(NOT_AVAILABLE, "only 0 is offered", field) if kind else None


def _too_large(data: Payload, max_bytes: int, field: str) -> ClientError | None:
    return ClientError(BAD_REQUEST, f"must have at most {max_bytes} bytes", field) if len(data) > max_bytes else None


def _given(payload: Payload) -> bool:
    return bool(payload) and payload != _NULL
