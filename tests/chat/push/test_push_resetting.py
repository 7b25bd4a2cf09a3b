"""What workers are told when an operator closes the breakers of a lane."""

import pytest
from structlog.testing import capture_logs

from chat.push import resetting


@pytest.mark.parametrize("lane", ["apns|sandbox|org.example.app", "webpush|production|default", "fcm|production|a|b"])
def test_a_lane_arrives_as_it_was_said(lane: str) -> None:
    heard: list[str] = []
    resetting.on_reset(heard.append)(resetting.encode(lane))
    assert heard == [lane]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"lane": 1}', b'{"lane": "nothing"}', b'{"lane": "x|production|a"}', b"\xff"]
)
def test_what_names_no_lane_is_told_in_the_log_and_does_nothing(data: bytes) -> None:
    heard: list[str] = []
    with capture_logs() as logs:
        resetting.on_reset(heard.append)(data)
    assert heard == []
    assert [one["event"] for one in logs] == ["push_reset_not_understood"]


def test_what_a_newer_version_says_besides_is_left_alone() -> None:
    assert resetting.decode(b'{"lane": "apns|production|app", "why": "mended"}') == "apns|production|app"
