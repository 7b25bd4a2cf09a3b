"""A lane is left alone when it fails, tried with one push, and nobody is deleted when everybody seems to be gone."""

from hypothesis import given
from hypothesis import strategies as st

from chat.push.breaker import BreakerSettings, DeletionBreaker, LaneBreaker, LaneState


def middle() -> float:
    return 0.5


def breaker() -> LaneBreaker:
    return LaneBreaker(middle, BreakerSettings(failures=3))


def test_a_lane_pauses_after_failures_in_a_row() -> None:
    lane = breaker()
    lane.failed(0, "timeout")
    lane.failed(0, "timeout")
    lane.succeeded()
    lane.failed(0, "timeout")
    lane.failed(0, "timeout")
    assert lane.state(0) is LaneState.CLOSED
    lane.failed(0, "timeout")
    assert (lane.state(1_499), lane.state(1_500), lane.reason) == (LaneState.OPEN, LaneState.PROBING, "timeout")
    assert (lane.opens_at(10), lane.opens_at(2_000)) == (1_500, 2_000)


def test_one_push_finds_out_whether_it_goes_again() -> None:
    lane = breaker()
    lane.refused(0, "invalid_provider_token")
    assert lane.room(44_999, 0, 50) == 0
    assert (lane.room(45_000, 0, 50), lane.room(45_000, 1, 50)) == (1, 0)
    lane.succeeded()
    assert lane.room(45_000, 1, 50) == 49


def test_pauses_grow_up_to_a_bound() -> None:
    lane = breaker()
    pauses = []
    now = 0
    for _ in range(12):
        lane.refused(now, "forbidden")
        pauses.append(lane.opens_at(now) - now)
        now = lane.opens_at(now)
    assert pauses[:3] == [45_000, 90_000, 180_000]
    assert pauses[-1] == 225_000


def test_what_was_under_way_when_a_lane_was_left_alone_makes_its_pause_no_longer() -> None:
    lane = breaker()
    lane.refused(0, "forbidden")
    for _ in range(50):
        lane.refused(10, "forbidden")
        lane.failed(10, "timeout")
        lane.asked_for_time(10, "busy", None)
    assert lane.opens_at(10) == 45_000


def test_a_provider_that_asks_for_time_gets_all_of_it() -> None:
    lane = breaker()
    lane.asked_for_time(0, "quota", 90_000)
    lane.asked_for_time(0, "quota", 30_000)
    assert lane.opens_at(0) == 90_000
    # What was under way is answered: that takes nothing back.
    lane.answered()
    assert (lane.state(89_999), lane.state(90_000)) == (LaneState.OPEN, LaneState.CLOSED)
    lane.asked_for_time(90_000, "quota", 30_000)
    lane.reset()
    assert lane.state(90_000) is LaneState.CLOSED


def test_a_few_that_are_gone_are_believed() -> None:
    devices = DeletionBreaker()
    for _ in range(20):
        assert devices.gone(0)
    for _ in range(180):
        devices.there()
    assert all(devices.gone(n) for n in range(20))


def test_when_nearly_everybody_is_gone_it_is_not_believed() -> None:
    devices = DeletionBreaker()
    for _ in range(100):
        devices.there()
    believed = [devices.gone(1_000 + n) for n in range(40)]
    assert believed == [True] * 33 + [False] * 7
    assert devices.suspect_since == 1_000
    assert not devices.gone(5_000)
    devices.reset()
    assert devices.gone(6_000)


def test_it_is_believed_again_once_devices_are_reached() -> None:
    devices = DeletionBreaker()
    while devices.gone(0):
        pass
    for _ in range(100):
        devices.there()
    assert not devices.tripped
    assert devices.suspect_since is None


@given(st.lists(st.booleans(), max_size=600))
def test_never_more_than_a_bounded_part_of_the_devices_is_lost(answers: list[bool]) -> None:
    devices = DeletionBreaker()
    lost: list[bool] = []
    for gone in answers:
        if not gone:
            devices.there()
        lost.append(gone and devices.gone(0))
        window = lost[-200:]
        assert sum(window) <= max(20, 0.25 * 200)
