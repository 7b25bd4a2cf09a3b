"""Token buckets: what they let through in any time, what they say of the wait, and what others' spending does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.rates import Bucket, ConnectionRates, Meter, Rate

rates = st.builds(
    Rate, st.floats(0.01, 10_000, allow_nan=False, allow_infinity=False), st.integers(1, 5_000), st.just("requests")
)
gaps = st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=200)


def at_once(rate: Rate, bucket: Bucket, now: float, most: int = 20_000) -> int:
    return next(count for count in range(most) if bucket.take(rate, now) > 0)


@given(rates, st.floats(0, 1e6))
def test_a_burst_passes_and_one_more_does_not(rate, now):
    bucket = Bucket()
    assert at_once(rate, bucket, now) == rate.burst
    assert bucket.left(rate, now) == 0


@given(rates, gaps)
def test_in_no_stretch_of_time_more_passes_than_the_rate_and_the_burst(rate, gaps):
    bucket, now, passed = Bucket(), 0.0, []
    for gap in gaps:
        now += gap
        if bucket.take(rate, now) == 0:
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= rate.burst + (passed[last] - start) * rate.per_s + 0.01


@given(rates, gaps)
def test_who_waits_as_told_is_let_through(rate, gaps):
    bucket, now = Bucket(), 1000.0
    for gap in gaps:
        now += gap / 1000
        wait_s = bucket.take(rate, now)
        assert (wait_s > 0) == (bucket.wait_s(rate, now) > 0 and wait_s > 0)
        if wait_s:
            told = rate.refusal(wait_s).retry_after_ms
            assert told is not None
            now += told / 1000
            assert bucket.take(rate, now) == 0


@given(rates, gaps)
def test_what_is_said_to_be_left_is_left(rate, gaps):
    bucket, now = Bucket(), 0.0
    for gap in gaps[:20]:
        now += gap
        left = bucket.left(rate, now)
        assert 0 <= left <= rate.burst
        assert (bucket.wait_s(rate, now) == 0) == (left > 0)
        if left:
            assert bucket.take(rate, now) == 0


@given(rates, st.floats(0, 1e5))
def test_a_refusal_takes_nothing(rate, now):
    bucket = Bucket()
    at_once(rate, bucket, now)
    before = bucket.full_at
    for _ in range(50):
        assert bucket.take(rate, now) > 0
    assert bucket.full_at == before


@given(rates, st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1000)), max_size=30))
def test_what_others_spent_never_fills_it(rate, steps):
    bucket, now = Bucket(), 0.0
    for gap, level_s in steps:
        now += gap
        before = bucket.level_s(now)
        bucket.raise_to(level_s, now)
        assert bucket.level_s(now) >= before
        assert bucket.level_s(now) == pytest.approx(max(before, level_s))


def test_the_refusal_says_the_limit_the_number_and_when_to_try_again():
    error = Rate(20, 100, "messages", "of one user").refusal(0.0421)
    assert error.message == "too_many_requests: 20 messages a second of one user, 100 at once; retry_after_ms=43"
    assert (error.retry_after_ms, error.temporary) == (43, True)
    assert Rate(1 / 6, 30, "failed sign-ins").told() == "10 failed sign-ins a minute"


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_that_lets_nothing_through_is_a_mistake(per_s, burst):
    with pytest.raises(ValueError, match="at least one token"):
        Rate(per_s, burst)


def test_a_connection_has_three_buckets_and_none_by_default():
    free = Meter(ConnectionRates())
    assert not any(free.command(0.0) or free.refused(0.0) or free.failed(0.0) for _ in range(10_000))
    meter = Meter(ConnectionRates(Rate(1, 2), Rate(1, 3), Rate(1, 4)))
    assert [meter.command(0.0) > 0 for _ in range(3)] == [False, False, True]
    assert [meter.refused(0.0) for _ in range(4)] == [False, False, False, True]
    assert [meter.failed(0.0) for _ in range(5)] == [False, False, False, False, True]
