"""The histogram of the hot path counts exactly as prometheus_client's own."""

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from realtime.histogram import Histogram, HistogramFamily, histogram

BOUNDS = (0.001, 0.01, 0.5, 2.0)


@given(
    st.lists(
        st.one_of(st.sampled_from(BOUNDS), st.floats(min_value=0, max_value=100)).map(lambda value: round(value, 6)),
        max_size=50,
    )
)
def test_the_exposition_is_the_one_of_prometheus_client(observations: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = histogram(ours, "hubbub_x_seconds", "Some time.", BOUNDS)
    other = prometheus_client.Histogram("hubbub_x_seconds", "Some time.", buckets=BOUNDS, registry=theirs)
    for value in observations:
        mine.observe(value)
        other.observe(value)

    expected = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert generate_latest(ours).decode().splitlines() == expected


def test_children_are_told_apart_by_their_label_once_they_observed_something() -> None:
    registry = CollectorRegistry()
    family = HistogramFamily(registry, "hubbub_x_seconds", "T.", BOUNDS, label="command", values=("rpc", "ping"))
    family.children["rpc"].observe(0.01)

    assert registry.get_sample_value("hubbub_x_seconds_count", {"command": "rpc"}) == 1
    assert registry.get_sample_value("hubbub_x_seconds_bucket", {"command": "rpc", "le": "0.01"}) == 1
    assert registry.get_sample_value("hubbub_x_seconds_count", {"command": "ping"}) is None


def test_a_name_is_taken_once_per_registry() -> None:
    registry = CollectorRegistry()
    histogram(registry, "hubbub_x_seconds", "T.", BOUNDS)
    with pytest.raises(ValueError, match="Duplicated"):
        histogram(registry, "hubbub_x_seconds", "T.", BOUNDS)


def test_it_keeps_no_dict_of_attributes() -> None:
    assert not hasattr(Histogram(BOUNDS), "__dict__")
