"""The catalogue: its ranges decide what SDKs do, its sentences go into the docs."""

import json

import pytest

from realtime.protocol import codes
from realtime.protocol.codes import (
    BAD_REQUEST,
    CLOSE_BAD_REQUEST,
    DISCONNECTS,
    ERRORS,
    FRAME_CLOSES,
    INTERNAL,
    PERMISSION_DENIED,
    UNAVAILABLE,
    UNSUBSCRIBES,
    ClientError,
    Closing,
    Disconnect,
    ErrorCode,
    Unsubscribe,
)

CATALOGUE: tuple[ErrorCode | Disconnect | Unsubscribe, ...] = (
    *ERRORS,
    *FRAME_CLOSES,
    *DISCONNECTS,
    *UNSUBSCRIBES,
)
CLOSINGS: tuple[Disconnect | Unsubscribe, ...] = (*FRAME_CLOSES, *DISCONNECTS, *UNSUBSCRIBES)


def test_errors_are_centrifugos_from_100_to_113_and_ours_from_1000() -> None:
    numbers = [error.code for error in ERRORS]
    assert numbers == [*range(100, 114), 1000]
    assert codes.UNAUTHORIZED.code == 101
    assert codes.UNKNOWN_CHANNEL.code == 102
    assert codes.PERMISSION_DENIED.code == 103
    assert codes.METHOD_NOT_FOUND.code == 104
    assert codes.ALREADY_SUBSCRIBED.code == 105
    assert codes.LIMIT_EXCEEDED.code == 106
    assert codes.BAD_REQUEST.code == 107
    assert codes.NOT_AVAILABLE.code == 108
    assert codes.TOKEN_EXPIRED.code == 109
    assert codes.EXPIRED.code == 110
    assert codes.TOO_MANY_REQUESTS.code == 111
    assert codes.UNRECOVERABLE_POSITION.code == 112
    assert codes.CONFLICT.code == 113


def test_only_what_a_repetition_may_cure_is_temporary() -> None:
    assert [error.code for error in ERRORS if error.temporary] == [100, 111, 1000]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("CLOSE_SHUTDOWN", 3001),
        ("CLOSE_EXPIRED", 3005),
        ("CLOSE_SLOW", 3008),
        ("CLOSE_INSUFFICIENT_STATE", 3010),
        ("CLOSE_NO_PONG", 3012),
        ("CLOSE_INVALID_TOKEN", 3500),
        ("CLOSE_BAD_REQUEST", 3501),
        ("CLOSE_CONNECTION_LIMIT", 3504),
        ("CLOSE_NO_CONNECT", 4000),
    ],
)
def test_disconnects_have_centrifugos_numbers(name: str, code: int) -> None:
    assert getattr(codes, name).code == code


@pytest.mark.parametrize(
    ("code", "reconnect"),
    [
        (3000, True),
        (3499, True),
        (3500, False),
        (3999, False),
        (4000, True),
        (4499, True),
        (4500, False),
        (4999, False),
    ],
)
def test_the_range_of_a_disconnect_says_whether_clients_come_back(code: int, reconnect: bool) -> None:
    assert Disconnect(code, "reason", "when").reconnect is reconnect


@pytest.mark.parametrize(("code", "resubscribe"), [(2000, False), (2499, False), (2500, True), (2999, True)])
def test_the_range_of_an_unsubscribe_says_whether_clients_subscribe_again(code: int, resubscribe: bool) -> None:
    assert Unsubscribe(code, "reason", "when").resubscribe is resubscribe


def test_a_missing_connect_reconnects() -> None:
    # Several SDKs fetch their token with the socket open: a slow token endpoint must not log anybody out.
    assert codes.CLOSE_NO_CONNECT.reconnect


def test_no_number_or_slug_is_there_twice() -> None:
    numbers = [entry.code for entry in CATALOGUE]
    assert len(set(numbers)) == len(numbers)
    assert len({error.slug for error in ERRORS}) == len(ERRORS)


def test_every_constant_is_in_its_catalogue() -> None:
    constants = [value for value in vars(codes).values() if isinstance(value, ErrorCode | Disconnect | Unsubscribe)]
    assert sorted(value.code for value in constants) == sorted(e.code for e in CATALOGUE)


def test_every_code_says_when_it_is_sent_in_sentences() -> None:
    for entry in CATALOGUE:
        assert entry.when.endswith(".")


def test_every_disconnect_and_unsubscribe_has_a_reason_that_is_not_json() -> None:
    for entry in CLOSINGS:
        assert entry.reason
        with pytest.raises(ValueError):
            json.loads(entry.reason)


def test_an_error_message_reads_slug_field_rule() -> None:
    assert ClientError(BAD_REQUEST, "must not be empty", "subscribe.channel").message == (
        "bad_request: $.subscribe.channel: must not be empty"
    )
    assert ClientError(PERMISSION_DENIED, "not a member").message == "permission_denied: not a member"
    assert ClientError(UNAVAILABLE).message == "unavailable"


def test_an_error_message_stays_short_whatever_it_quotes() -> None:
    assert len(ClientError(BAD_REQUEST, "x" * 1_000_000, "y" * 1_000_000).message) < 500


def test_temporary_can_be_said_of_one_error_only() -> None:
    assert ClientError(INTERNAL).temporary
    assert not ClientError(INTERNAL, temporary=False).temporary
    assert ClientError(PERMISSION_DENIED, temporary=True).temporary


def test_closing_takes_the_catalogues_reason_unless_told_a_better_one() -> None:
    assert Closing(CLOSE_BAD_REQUEST).reason == "bad request"
    assert Closing(CLOSE_BAD_REQUEST, "").reason == "bad request"
    assert Closing(CLOSE_BAD_REQUEST, "bad request: not UTF-8").reason == "bad request: not UTF-8"


def test_exceptions_read_well_in_a_log() -> None:
    assert str(ClientError(BAD_REQUEST, "must be JSON", "rpc.data")) == "107 bad_request: $.rpc.data: must be JSON"
    assert str(Closing(CLOSE_BAD_REQUEST)) == "3501 bad request"
