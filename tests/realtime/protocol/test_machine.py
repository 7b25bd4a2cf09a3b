"""What a connection may do when. Time is a number that the test says."""

import math

import pytest

from realtime.protocol.codes import BAD_REQUEST, CLOSE_BAD_REQUEST, CLOSE_NO_CONNECT, METHOD_NOT_FOUND, ClientError
from realtime.protocol.machine import Answer, AwaitingConnect, Close, Closed, Connected, Connecting, Invoke
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
    RefreshRequest,
    Reply,
    Request,
    RPCRequest,
    SendRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)
from support.machines import CONNECT, START, closed, connected, connecting, fresh, refused

DATA = Payload(b'{"a":1}')
TOO_MUCH = Payload(b'"123456789"')


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
