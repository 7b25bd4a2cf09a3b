"""What messages refuse to be: the states that break clients cannot be built."""

import pytest

from realtime.protocol import messages
from realtime.protocol.codes import ERRORS, PERMISSION_DENIED, ClientError
from realtime.protocol.messages import (
    PUSHES,
    ConnectResult,
    Disconnect,
    Error,
    Publication,
    RefreshResult,
    Reply,
    SubRefreshResult,
    SubscribeResult,
    Unsubscribe,
    failure,
)


def test_every_error_of_the_catalogue_has_a_message() -> None:
    for code in ERRORS:
        assert failure(1, ClientError(code)) == Reply(1, Error(code.code, code.slug, code.temporary))


def test_a_temporary_error_says_so_to_the_client() -> None:
    assert failure(7, ClientError(PERMISSION_DENIED, temporary=True)) == Reply(7, Error(103, "permission_denied", True))


@pytest.mark.parametrize(("code", "message"), [(100, ""), (99, "timeout"), (0, "none")])
def test_an_error_without_a_message_or_with_a_code_of_the_sdks_cannot_be_made(code: int, message: str) -> None:
    with pytest.raises(ValueError, match="an error has"):
        Error(code, message)


@pytest.mark.parametrize("result", [SubscribeResult, RefreshResult, SubRefreshResult])
def test_what_expires_has_a_ttl_of_at_least_one_second(result: type[SubscribeResult]) -> None:
    assert result(expires=True, ttl=0).ttl == 1
    assert result(expires=True, ttl=30).ttl == 30
    assert result().ttl == 0


def test_a_connection_that_expires_has_a_ttl_of_at_least_one_second() -> None:
    assert ConnectResult(expires=True, client="c", version="1", ping=25).ttl == 1


@pytest.mark.parametrize(
    "lacking", [{"client": ""}, {"version": ""}, {"ping": 0}], ids=["no client", "no version", "no ping"]
)
def test_a_connect_result_lacks_nothing_that_sdks_need(lacking: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a connect result has"):
        ConnectResult(**{"client": "c", "version": "1", "ping": 25, **lacking})  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize(("code", "reason"), [(0, "reason"), (2000, "")])
def test_an_unsubscribe_has_code_and_reason(code: int, reason: str) -> None:
    with pytest.raises(ValueError, match="unsubscribe"):
        Unsubscribe(code, reason)


@pytest.mark.parametrize(("code", "reason"), [(0, "reason"), (3000, "")])
def test_a_disconnect_has_code_and_reason(code: int, reason: str) -> None:
    with pytest.raises(ValueError, match="disconnect"):
        Disconnect(code, reason)


def test_message_refresh_and_connect_pushes_do_not_exist() -> None:
    assert set(PUSHES.values()) == {"pub", "join", "leave", "subscribe", "unsubscribe", "disconnect"}


def test_messages_cannot_be_changed_as_receivers_share_them() -> None:
    with pytest.raises(AttributeError):
        Publication().offset = 1  # type: ignore[misc] # on purpose


def test_absent_means_one_object_everywhere() -> None:
    assert Publication().data is messages.EMPTY
    assert SubscribeResult().data is messages.EMPTY
