"""What a connection may do when. Time is a number that the test says."""

import math

import pytest

from realtime.protocol.codes import (
    BAD_REQUEST,
    CLOSE_BAD_REQUEST,
    CLOSE_EXPIRED,
    CLOSE_NO_CONNECT,
    CLOSE_NO_PONG,
    METHOD_NOT_FOUND,
    ClientError,
    Disconnect,
)
from realtime.protocol.machine import (
    Answer,
    AwaitingConnect,
    Close,
    Closed,
    Connected,
    Connecting,
    ConnectionMachine,
    ConnectionSettings,
    Effect,
    Invoke,
    Ping,
)
from realtime.protocol.messages import (
    Command,
    ConnectRequest,
    Error,
    HistoryRequest,
    Invalid,
    Payload,
    PingRequest,
    PingResult,
    Pong,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    Reply,
    Request,
    RPCRequest,
    SendRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)

START = 1000.0
SETTINGS = ConnectionSettings(
    connect_timeout_s=25,
    ping_interval_s=25,
    pong_timeout_s=8,
    expired_close_delay_s=20,
    max_command_data_bytes=10,
)
CONNECT = Command(1, ConnectRequest(token="t"))
DATA = Payload(b'{"a":1}')
TOO_MUCH = Payload(b'"123456789"')


def fresh() -> ConnectionMachine:
    return ConnectionMachine(SETTINGS, now=START)


def connecting() -> ConnectionMachine:
    machine = fresh()
    assert machine.receive(CONNECT) == Invoke(1, CONNECT.request)  # type: ignore[arg-type] # a connect request
    return machine


def connected(expire_at_s: float | None = None) -> ConnectionMachine:
    machine = connecting()
    machine.connected(expire_at_s, START)
    return machine


def closed(effect: Effect | None) -> Disconnect:
    assert isinstance(effect, Close)
    assert effect.reason
    return effect.disconnect


def refused(effect: Effect | None) -> tuple[int, int, str]:
    """(command id, error code, message)"""
    assert isinstance(effect, Answer)
    assert isinstance(effect.reply.result, Error)
    return effect.reply.id, effect.reply.result.code, effect.reply.result.message


# --- before connect ---


def test_a_connect_is_invoked_and_then_decided() -> None:
    machine = fresh()
    assert isinstance(machine.state, AwaitingConnect)
    assert isinstance(machine.receive(CONNECT), Invoke)
    assert isinstance(machine.state, Connecting)
    machine.connected(None, START)
    assert isinstance(machine.state, Connected)


@pytest.mark.parametrize(
    "item",
    [
        Command(1, SubscribeRequest("c")),
        Command(1, PingRequest()),
        Command(0, SendRequest()),
        Command(1, UnsubscribeRequest("c")),
        Command(0, ConnectRequest()),
        Invalid(1, ClientError(METHOD_NOT_FOUND)),
        Invalid(1, ClientError(BAD_REQUEST, "expected str, got int", "rpc.method")),
    ],
)
def test_any_command_before_connect_closes(item: Command | Invalid) -> None:
    machine = fresh()
    assert closed(machine.receive(item)) is CLOSE_BAD_REQUEST
    assert isinstance(machine.state, Closed)


def test_a_pong_before_connect_is_tolerated() -> None:
    assert fresh().receive(Pong()) is None


def test_no_connect_in_time_closes_with_a_code_that_reconnects() -> None:
    machine = fresh()
    assert machine.due_at == START + 25
    assert machine.tick(START + 24.9) == []
    assert machine.tick(START + 25) == [Close(CLOSE_NO_CONNECT, "no connect command in time")]
    assert isinstance(machine.state, Closed)


def test_a_connect_that_is_being_decided_is_in_time() -> None:
    machine = connecting()
    assert machine.due_at == math.inf
    assert machine.tick(START + 1000) == []


def test_a_connect_of_wrong_types_is_answered() -> None:
    machine = fresh()
    wrong = Invalid(1, ClientError(BAD_REQUEST, "expected str, got int", "connect.token"))
    assert refused(machine.receive(wrong)) == (1, 107, "bad_request: $.connect.token: expected str, got int")
    assert isinstance(machine.state, AwaitingConnect)


def test_a_connect_with_too_much_data_is_answered() -> None:
    machine = fresh()
    effect = machine.receive(Command(1, ConnectRequest(data=TOO_MUCH)))
    assert refused(effect) == (1, 107, "bad_request: $.connect.data: must have at most 10 bytes")
    assert machine.receive(Command(2, SubscribeRequest("c"))) is None


def test_after_a_refused_connect_the_commands_behind_it_are_dropped_in_silence() -> None:
    machine = connecting()
    machine.refused()
    assert machine.receive(Command(2, SubscribeRequest("c"))) is None
    assert machine.receive(Command(0, SendRequest())) is None
    assert machine.receive(Invalid(3, ClientError(METHOD_NOT_FOUND))) is None
    assert isinstance(machine.state, AwaitingConnect)


def test_after_a_refused_connect_another_one_may_come() -> None:
    machine = connecting()
    machine.refused()
    assert machine.receive(Command(9, ConnectRequest(token="new"))) == Invoke(9, ConnectRequest(token="new"))
    machine.connected(None, START + 3)
    assert isinstance(machine.receive(Command(10, RPCRequest("m"))), Invoke)


def test_refused_connects_do_not_keep_a_socket_open() -> None:
    machine = connecting()
    machine.refused()
    assert machine.due_at == START + 25
    assert machine.receive(Command(2, ConnectRequest())) is not None
    machine.refused()
    assert [close.disconnect for close in machine.tick(START + 25) if isinstance(close, Close)] == [CLOSE_NO_CONNECT]


def test_pipelining_into_a_connect_that_is_being_decided_is_the_drivers_to_prevent() -> None:
    assert connecting().receive(Pong()) is None
    assert closed(connecting().receive(CONNECT)) is CLOSE_BAD_REQUEST


# --- connected ---


def test_connect_twice_closes() -> None:
    assert closed(connected().receive(Command(2, ConnectRequest()))) is CLOSE_BAD_REQUEST


@pytest.mark.parametrize(
    "request_",
    [
        SubscribeRequest("c", data=DATA, delta="fossil", flag=3),
        UnsubscribeRequest("c"),
        PublishRequest("c", DATA),
        PresenceRequest("c"),
        PresenceStatsRequest("c"),
        HistoryRequest("c", limit=-1),
        RPCRequest("m", DATA),
        RPCRequest("", Payload(b"")),
        RefreshRequest("t"),
        SubRefreshRequest("c", "t"),
    ],
    ids=lambda request: type(request).__name__,
)
def test_what_is_offered_is_invoked(request_: Request) -> None:
    machine = connected()
    assert machine.receive(Command(7, request_)) == Invoke(7, request_)  # type: ignore[arg-type] # none is a ping
    assert isinstance(machine.state, Connected)


@pytest.mark.parametrize("channel", ["", "c", "never:subscribed"])
def test_unsubscribe_is_never_refused(channel: str) -> None:
    assert isinstance(connected().receive(Command(7, UnsubscribeRequest(channel))), Invoke)


@pytest.mark.parametrize("command_id", [0, 7])
def test_send_is_accepted_and_ignored(command_id: int) -> None:
    machine = connected()
    assert machine.receive(Command(command_id, SendRequest())) is None
    assert isinstance(machine.state, Connected)


def test_a_ping_of_the_client_is_answered() -> None:
    assert connected().receive(Command(7, PingRequest())) == Answer(Reply(7, PingResult()))


@pytest.mark.parametrize("request_", [RPCRequest("m"), PingRequest(), UnsubscribeRequest("c")])
def test_a_command_that_cannot_be_answered_closes(request_: Request) -> None:
    assert closed(connected().receive(Command(0, request_))) is CLOSE_BAD_REQUEST


def test_an_error_keeps_the_connection() -> None:
    machine = connected()
    error = ClientError(BAD_REQUEST, "expected str, got int", "subscribe.channel")
    assert refused(machine.receive(Invalid(7, error))) == (
        7,
        107,
        "bad_request: $.subscribe.channel: expected str, got int",
    )
    assert isinstance(machine.state, Connected)
    assert isinstance(machine.receive(Command(8, RPCRequest("m"))), Invoke)


def test_an_unknown_command_is_answered_and_keeps_the_connection() -> None:
    machine = connected()
    assert refused(machine.receive(Invalid(7, ClientError(METHOD_NOT_FOUND)))) == (7, 104, "method_not_found")
    assert isinstance(machine.state, Connected)


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (SubscribeRequest("c", type=1), 108, "not_available: $.subscribe.type: only 0 is offered"),
        (SubscribeRequest("c", type=-1), 108, "not_available: $.subscribe.type: only 0 is offered"),
        (PublishRequest("c", DATA, type=1), 108, "not_available: $.publish.type: only 0 is offered"),
        (SubRefreshRequest("c", type=2), 108, "not_available: $.sub_refresh.type: only 0 is offered"),
        (SubscribeRequest("c", tf=Payload(b"{}")), 107, "bad_request: $.subscribe.tf: filters are not offered"),
    ],
)
def test_what_is_not_offered_is_refused(request_: Request, code: int, message: str) -> None:
    assert refused(connected().receive(Command(7, request_))) == (7, code, message)


@pytest.mark.parametrize(
    "request_",
    [
        SubscribeRequest("c", delta="fossil"),
        SubscribeRequest("c", flag=1),
        SubscribeRequest("c", tf=Payload(b"null")),
    ],
)
def test_delta_channel_ids_and_an_absent_filter_are_no_reason_to_refuse(request_: Request) -> None:
    assert isinstance(connected().receive(Command(7, request_)), Invoke)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (RPCRequest("m", TOO_MUCH), "rpc.data"),
        (PublishRequest("c", TOO_MUCH), "publish.data"),
        (SubscribeRequest("c", data=TOO_MUCH), "subscribe.data"),
    ],
)
def test_too_much_data_is_refused_not_closed(request_: Request, field: str) -> None:
    machine = connected()
    effect = machine.receive(Command(7, request_))
    assert refused(effect) == (7, 107, f"bad_request: $.{field}: must have at most 10 bytes")
    assert isinstance(machine.state, Connected)


def test_data_up_to_the_limit_is_accepted() -> None:
    assert isinstance(connected().receive(Command(7, RPCRequest("m", Payload(b'"12345678"')))), Invoke)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (SubscribeRequest(), "subscribe.channel"),
        (PublishRequest(data=DATA), "publish.channel"),
        (PresenceRequest(), "presence.channel"),
        (PresenceStatsRequest(), "presence_stats.channel"),
        (HistoryRequest(), "history.channel"),
        (SubRefreshRequest(), "sub_refresh.channel"),
    ],
)
def test_a_channel_must_be_named(request_: Request, field: str) -> None:
    assert refused(connected().receive(Command(7, request_))) == (7, 107, f"bad_request: $.{field}: must not be empty")


def test_a_publication_must_have_data() -> None:
    effect = connected().receive(Command(7, PublishRequest("c")))
    assert refused(effect) == (7, 107, "bad_request: $.publish.data: must be present")


# --- pings ---


def test_pings_go_out_at_every_interval() -> None:
    machine = connected()
    for number in (1, 2, 3):
        now = START + 25 * number
        assert machine.due_at == now
        assert machine.tick(now - 0.1) == []
        assert machine.tick(now) == [Ping()]
        assert machine.receive(Pong()) is None


def test_pings_go_out_also_while_the_client_is_busy() -> None:
    machine = connected()
    for number in range(250):
        assert machine.receive(Command(number + 2, RPCRequest("m"))) is not None
    assert machine.tick(START + 25) == [Ping()]


def test_the_first_ping_can_be_spread() -> None:
    machine = connecting()
    machine.connected(None, START, first_ping_after_s=3.5)
    assert machine.due_at == START + 3.5
    assert machine.tick(START + 3.5) == [Ping()]
    machine.receive(Pong())
    assert machine.due_at == START + 3.5 + 25


def test_a_late_tick_sends_one_ping_not_those_missed() -> None:
    machine = connected()
    assert machine.tick(START + 100) == [Ping()]
    machine.receive(Pong())
    assert machine.due_at == START + 125


def test_a_missing_pong_closes() -> None:
    machine = connected()
    machine.tick(START + 25)
    assert machine.due_at == START + 33
    assert machine.tick(START + 32.9) == []
    assert machine.tick(START + 33) == [Close(CLOSE_NO_PONG, "no pong")]
    assert isinstance(machine.state, Closed)


@pytest.mark.parametrize(
    "item", [Pong(), Command(7, RPCRequest("m")), Command(0, SendRequest()), Invalid(7, ClientError(METHOD_NOT_FOUND))]
)
def test_any_message_proves_that_the_peer_is_alive(item: Command | Pong | Invalid) -> None:
    machine = connected()
    machine.tick(START + 25)
    machine.receive(item)
    assert machine.tick(START + 49) == []
    assert machine.due_at == START + 50


def test_a_second_ping_does_not_put_off_the_missing_pong() -> None:
    machine = ConnectionMachine(ConnectionSettings(ping_interval_s=5, pong_timeout_s=8), now=START)
    machine.receive(CONNECT)
    machine.connected(None, START)
    assert machine.tick(START + 5) == [Ping()]
    assert machine.tick(START + 10) == [Ping()]
    assert machine.due_at == START + 13
    assert [type(action) for action in machine.tick(START + 13)] == [Close]


def test_a_pong_may_be_in_what_was_not_read_yet() -> None:
    machine = connected()
    machine.unread(START)
    assert machine.tick(START + 25) == [Ping()]
    machine.unread(START + 40)
    assert machine.tick(START + 40) == []
    machine.receive(Pong())
    assert machine.tick(START + 41) == []

    assert machine.tick(START + 50) == [Ping()]
    machine.unread(START + 58)
    assert machine.tick(START + 59) == [Close(CLOSE_NO_PONG, "no pong")]


def test_an_unsolicited_pong_is_tolerated() -> None:
    machine = connected()
    assert [machine.receive(Pong()) for _ in range(3)] == [None, None, None]
    assert isinstance(machine.state, Connected)


# --- expiry ---


def test_an_expired_connection_closes_after_the_grace() -> None:
    machine = connected(expire_at_s=START + 2)
    assert machine.due_at == START + 22
    assert machine.tick(START + 21.9) == []
    assert machine.tick(START + 22) == [Close(CLOSE_EXPIRED, "connection expired")]


def test_commands_are_accepted_within_the_grace() -> None:
    machine = connected(expire_at_s=START + 2)
    assert machine.tick(START + 10) == []
    assert isinstance(machine.receive(Command(7, RefreshRequest("t"))), Invoke)


def test_a_refresh_moves_the_expiry() -> None:
    machine = connected(expire_at_s=START + 2)
    machine.refreshed(START + 100)
    assert machine.due_at == START + 25, "the ping is first"
    machine.tick(START + 25)
    machine.receive(Pong())
    machine.refreshed(None)
    assert machine.due_at == START + 50


def test_a_connection_without_expiry_never_expires() -> None:
    machine = connected()
    assert machine.tick(START + 1e9) == [Ping()]


def test_expiry_is_said_before_a_missing_pong() -> None:
    machine = connected(expire_at_s=START + 2)
    machine.tick(START + 21)
    assert machine.tick(START + 1000) == [Close(CLOSE_EXPIRED, "connection expired")]


# --- the end ---


def test_nothing_happens_after_the_end() -> None:
    machine = connected(expire_at_s=START)
    machine.close()
    assert isinstance(machine.state, Closed)
    assert machine.due_at == math.inf
    assert machine.receive(Command(7, RPCRequest("m"))) is None
    assert machine.receive(CONNECT) is None
    assert machine.tick(START + 1e9) == []


def test_a_connection_that_ended_while_it_was_decided_stays_ended() -> None:
    machine = connecting()
    machine.close()
    machine.connected(None, START)
    machine.refused()
    machine.refreshed(None)
    assert isinstance(machine.state, Closed)


def test_a_close_is_said_once() -> None:
    machine = fresh()
    assert len(machine.tick(START + 25)) == 1
    assert machine.tick(START + 25) == []


def test_a_driver_that_mixes_up_the_order_is_told() -> None:
    with pytest.raises(RuntimeError, match="AwaitingConnect"):
        fresh().connected(None, START)
    with pytest.raises(RuntimeError, match="Connected"):
        connected().refused()
    with pytest.raises(RuntimeError, match="Connecting"):
        connecting().refreshed(None)
