"""Workers are woken by whoever makes a job: the own one at once, the others by a word that is not repeated too fast."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from chat.push.waking import PAUSE_S, WAKE, NoticeListener, Waker
from realtime import control
from realtime.control import Envelope, Notice, RefreshSessions, Target


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def listener(heard: list[bytes]) -> NoticeListener:
    """Of process "other", which listens to what wakes it."""
    one = NoticeListener("other")
    one.attach({WAKE: heard.append})
    return one


def a_waker(tell: Callable[[bytes], None], own: list[str], times: list[float]) -> Waker:
    return Waker(tell, process="mine", monotonic=lambda: times[-1], own=lambda: own.append("woken"))


def test_the_own_worker_is_woken_each_time_and_the_others_are_told_once_in_a_while() -> None:
    told: list[bytes] = []
    own: list[str] = []
    times = [0.0]
    wake = a_waker(told.append, own, times)
    for now in (0.0, PAUSE_S / 2, PAUSE_S, PAUSE_S * 1.5):
        times.append(now)
        wake()
    assert (len(own), len(told)) == (4, 2)


def test_what_one_process_tells_another_one_hears(listener: NoticeListener, heard: list[bytes]) -> None:
    a_waker(listener.on_control, [], [0.0])()
    assert heard == [b""]


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope("other", Notice(WAKE, b"")),
        Envelope("mine", Notice("something else", b"")),
        Envelope("mine", RefreshSessions(Target("alice"), expired=True, expire_at=None)),
    ],
)
def test_its_own_words_and_what_is_for_others_are_left_alone(
    listener: NoticeListener, heard: list[bytes], envelope: Envelope
) -> None:
    listener.on_control(control.encode(envelope))
    assert heard == []


def test_what_cannot_be_read_is_told_in_the_log(listener: NoticeListener, heard: list[bytes]) -> None:
    with capture_logs() as logs:
        listener.on_control(b"\xff")
    assert ([one["event"] for one in logs], heard) == (["control_not_understood"], [])


def test_before_anybody_listens_nothing_happens() -> None:
    NoticeListener("other").on_control(control.encode(Envelope("mine", Notice(WAKE, b""))))
