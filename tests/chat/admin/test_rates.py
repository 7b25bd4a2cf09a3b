"""Rates and percentiles from snapshots."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.admin.rates import Track, percentile, together
from chat.metrics.snapshot import Buckets, Identity, Snapshot

BOUNDS = [0.001, 0.01, 0.1, 1.0]
INFINITY = float("inf")


def snapshot(at: int, **changes: object) -> Snapshot:
    who = Identity(process="p", node="n", slot="0", role="hub", pid=1, version="1", started_at=0)
    parts: dict[str, object] = {"gauges": {}, "counters": {}, "histograms": {}, "labelled": {}} | changes
    return Snapshot(at=at, who=who, **parts)  # type: ignore[arg-type]


def track(*snapshots: Snapshot) -> Track:
    """As a reader got them, each when it was made."""
    track = Track()
    for each in snapshots:
        track.take(each, each.at / 1000)
    return track


def test_a_rate_is_the_growth_of_a_counter_per_second() -> None:
    point = together(
        [track(snapshot(0, counters={"deliveries": 100.0}), snapshot(2_000, counters={"deliveries": 300.0})).doing()]
    )
    assert point.out_per_s == 100


def test_the_first_snapshot_has_gauges_and_no_rates() -> None:
    point = together([track(snapshot(0, gauges={"connections": 7.0}, counters={"deliveries": 1e9})).doing()])
    assert (point.connections, point.out_per_s) == (7, None)


def test_gauges_are_exact_whatever_their_size() -> None:
    assert together([track(snapshot(0, gauges={"connections": 15_234.0})).doing()]).connections == 15_234


def test_reading_a_snapshot_twice_changes_nothing() -> None:
    twice = track(snapshot(0, counters={"deliveries": 0.0}), snapshot(1_000, counters={"deliveries": 50.0}))
    before = twice.doing()
    twice.take(snapshot(1_000, counters={"deliveries": 50.0}), 2.0)
    twice.take(snapshot(500, counters={"deliveries": 20.0}), 2.5)
    assert twice.doing() == before
    assert twice.age_s(3.0) == 2.0


def test_percentiles_are_of_the_last_ten_seconds() -> None:
    slow_then_fast = [
        snapshot(at * 1000, histograms={"ack": Buckets(BOUNDS, [at, 0, 0, 50, 0])}) for at in range(12, 40)
    ]
    point = together([track(snapshot(0, histograms={"ack": Buckets(BOUNDS, [0] * 5)}), *slow_then_fast).doing()])
    assert point.ack_p99_ms is not None
    assert point.ack_p99_ms <= 1.0


def test_processes_are_put_together_by_their_buckets_not_their_percentiles() -> None:
    def process(counts: list[int]) -> Track:
        return track(
            snapshot(0, histograms={"ack": Buckets(BOUNDS, [0] * 5)}),
            snapshot(1_000, histograms={"ack": Buckets(BOUNDS, counts)}),
        )

    busy, idle = process([990, 0, 0, 0, 0]), process([0, 0, 0, 1, 0])
    point = together([busy.doing(), idle.doing()])
    assert point.ack_p99_ms is not None
    assert point.ack_p99_ms <= 1.0


def test_a_batch_has_a_whole_number_of_entries() -> None:
    def batches(counts: list[int]) -> Track:
        return track(
            snapshot(0, histograms={"batch": Buckets([1.0, 2.0, 4.0], [0] * 4)}),
            snapshot(1_000, histograms={"batch": Buckets([1.0, 2.0, 4.0], counts)}),
        )

    assert together([batches([10, 0, 0, 0]).doing()]).batch_p50 == 1
    assert together([batches([0, 10, 0, 0]).doing()]).batch_p50 == 2
    assert together([batches([0, 0, 10, 0]).doing()]).batch_p50 in (3, 4)


def test_the_loop_lag_of_several_is_that_of_the_worst() -> None:
    def process(counts: list[int]) -> Track:
        return track(
            snapshot(0, histograms={"loop_lag": Buckets(BOUNDS, [0] * 5)}),
            snapshot(1_000, histograms={"loop_lag": Buckets(BOUNDS, counts)}),
        )

    fine, stuck = process([1000, 0, 0, 0, 0]), process([0, 0, 0, 1, 0])
    point = together([fine.doing(), stuck.doing()])
    assert point.loop_lag_p99_ms is not None
    assert point.loop_lag_p99_ms > 100


def test_a_process_that_is_restarted_does_not_make_a_negative_rate() -> None:
    restarted = track(snapshot(0, counters={"deliveries": 900.0}), snapshot(1_000, counters={"deliveries": 5.0}))
    assert together([restarted.doing()]).out_per_s == 0


def test_a_process_that_stopped_telling_has_no_rates() -> None:
    stale = track(snapshot(0, counters={"deliveries": 0.0}), snapshot(1_000, counters={"deliveries": 50.0}))
    assert together([stale.doing(stale=True)]).out_per_s is None


def test_the_bus_is_alive_by_the_share_of_processes_that_have_one() -> None:
    alive = track(snapshot(0, gauges={"bus_alive": 1.0})).doing()
    dead = track(snapshot(0, gauges={"bus_alive": 0.0})).doing()
    worker = track(snapshot(0)).doing()
    assert together([alive, alive, worker]).bus_alive == 1
    assert together([alive, dead, worker]).bus_alive == 0.5
    assert together([worker]).bus_alive is None


def test_the_last_minute_of_a_labelled_counter() -> None:
    codes = [snapshot(at * 1000, labelled={"disconnects": {"3008": float(at), "0": 5.0}}) for at in range(300)]
    assert track(*codes).last_minute("disconnects") == {"3008": 60.0}
    assert track(snapshot(0)).last_minute("disconnects") == {}


@given(
    st.lists(st.floats(min_value=0, max_value=5, allow_nan=False), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.5, 0.99, 1.0]),
)
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    bounds = [*BOUNDS, INFINITY]
    window = dict.fromkeys(bounds, 0)
    for value in values:
        window[bounds[bisect_left(bounds, value)]] += 1
    found = percentile(window, share)
    ordered = sorted(values)
    true = ordered[max(0, -(-round(share * len(ordered) * 1000) // 1000) - 1)]

    assert found is not None
    index = bisect_left(bounds, true)
    assert (0.0 if index == 0 else bounds[index - 1]) <= found
    assert found <= bounds[index]


@pytest.mark.parametrize("window", [{}, {0.1: 0, INFINITY: 0}])
def test_without_observations_there_is_no_percentile(window: dict[float, int]) -> None:
    assert percentile(window, 0.99) is None


def test_beyond_the_last_bound_a_percentile_says_at_least() -> None:
    assert percentile({0.1: 0, 1.0: 0, INFINITY: 5}, 0.5) == 1.0
