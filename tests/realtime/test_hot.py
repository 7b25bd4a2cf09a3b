"""Finding the busiest channels in bounded memory."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.hot import HotChannels


def steady(hot: HotChannels, rates: dict[str, int], seconds: int, *, start: int = 0) -> None:
    for second in range(start, start + seconds):
        hot.advance(float(second))
        for key, rate in rates.items():
            hot.add(key, rate)
    hot.advance(float(start + seconds))


def test_a_steady_rate_is_reported_per_second() -> None:
    hot = HotChannels(now=0.0)
    steady(hot, {"a": 500, "b": 20}, 120)

    first, second = hot.top(5)
    assert (first.channel, second.channel) == ("a", "b")
    assert first.per_s == pytest.approx(500, rel=0.05)
    assert second.per_s == pytest.approx(20, rel=0.05)
    assert first.error_per_s == 0


def test_what_has_gone_quiet_fades_by_half_each_half_life() -> None:
    hot = HotChannels(half_life_s=10, now=0.0)
    steady(hot, {"a": 100}, 120)
    before = hot.top(1)[0].per_s
    hot.advance(130.0)

    assert hot.top(1)[0].per_s == pytest.approx(before / 2, rel=0.01)


def test_a_busy_channel_is_found_among_any_number_of_others() -> None:
    hot = HotChannels(capacity=32, now=0.0)
    for second in range(60):
        hot.advance(float(second))
        for other in range(1000):
            hot.add(f"{second}:{other}")
            if other % 10 == 0:
                hot.add("busy")

    assert len(hot) == 32
    assert hot.top(1)[0].channel == "busy"


@given(st.lists(st.sampled_from("abcdefghij"), max_size=300), st.integers(min_value=1, max_value=6))
def test_the_report_brackets_the_truth(keys: list[str], capacity: int) -> None:
    hot = HotChannels(capacity=capacity, half_life_s=1.0, now=0.0)
    for key in keys:
        hot.add(key)
    truth = Counter(keys)
    per_s = 0.6931471805599453

    assert len(hot) <= capacity
    for found in hot.top(capacity):
        assert found.per_s <= truth[found.channel] * per_s * 1.000_001
        assert (found.per_s + found.error_per_s) * 1.000_001 >= truth[found.channel] * per_s
    for key, count in truth.items():
        if count > len(keys) / capacity:
            assert any(found.channel == key for found in hot.top(capacity))


@pytest.mark.parametrize("pause_s", [639.0, 640.0, 1e9])
def test_counts_stay_finite_over_any_time(pause_s: float) -> None:
    hot = HotChannels(now=0.0)
    steady(hot, {"a": 5}, 2000)
    hot.advance(2000.0 + pause_s)
    hot.add("b", 10)
    hot.advance(2001.0 + pause_s)

    assert hot.top(1)[0].channel == "b"


def test_a_clock_that_goes_back_is_ignored() -> None:
    hot = HotChannels(now=100.0)
    hot.add("a")
    hot.advance(50.0)
    hot.add("a")

    assert [found.channel for found in hot.top(3)] == ["a"]
