"""The names a snapshot is made of are names that the engines really use."""

import pytest
from prometheus_client import CollectorRegistry

from chat.metrics.families import take
from chat.metrics.methods import MethodStats
from chat.metrics.registry import process_registry
from chat.metrics.snapshot import COUNTERS, GAUGES, HISTOGRAMS, LABELLED, Identity, make
from realtime import stats as realtime_stats
from storage import stats as storage_stats

WHO = Identity(process="p", node="n", slot="0", role="hub", pid=1, version="1", started_at=0)


@pytest.fixture
def registry() -> CollectorRegistry:
    """Everything that a hub process has on its registry."""
    registry = process_registry("1")
    realtime_stats.Stats(registry).disconnected(3008)
    storage_stats.Stats(registry)
    MethodStats(registry, ["message.send"])
    return registry


def test_every_number_of_a_snapshot_is_counted_somewhere(registry: CollectorRegistry) -> None:
    snapshot = make(take(registry.collect()), WHO, at=0)
    assert set(GAUGES) == set(snapshot.gauges)
    assert set(COUNTERS) == set(snapshot.counters)
    assert snapshot.counters["errors"] == 0, "no error yet is zero errors, not an unknown number"
    assert set(HISTOGRAMS) == set(snapshot.histograms)
    assert set(LABELLED) == set(snapshot.labelled)


def test_buckets_hold_what_was_observed(registry: CollectorRegistry) -> None:
    fresh = CollectorRegistry()
    stats = storage_stats.Stats(fresh)
    for size in (1, 1, 3, 1000):
        stats.batch_entries.observe(size)
    batch = make(take(fresh.collect()), WHO, at=0).histograms["batch"]
    assert dict(zip([*batch.le, float("inf")], batch.counts, strict=True)) == {
        **dict.fromkeys(batch.le, 0),
        1.0: 2,
        4.0: 1,
        float("inf"): 1,
    }
