"""What a connection owes the clock: pings, pongs, expiry. Time is a number that the test says."""

import pytest

from realtime.protocol.codes import CLOSE_EXPIRED, CLOSE_NO_PONG, METHOD_NOT_FOUND, ClientError
from realtime.protocol.machine import Close, Closed, Connected, ConnectionMachine, ConnectionSettings, Invoke, Ping
from realtime.protocol.messages import Command, Invalid, Pong, RefreshRequest, RPCRequest, SendRequest
from support.machines import CONNECT, START, connected, connecting

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
