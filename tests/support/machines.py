"""A connection machine in each of its states, and how to read what it answers."""

from realtime.protocol.codes import Disconnect
from realtime.protocol.machine import Answer, Close, ConnectionMachine, ConnectionSettings, Effect, Invoke
from realtime.protocol.messages import Command, ConnectRequest, Error

START = 1000.0
SETTINGS = ConnectionSettings(
    connect_timeout_s=25,
    ping_interval_s=25,
    pong_timeout_s=8,
    expired_close_delay_s=20,
    max_command_data_bytes=10,
)
CONNECT = Command(1, ConnectRequest(token="t"))


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
