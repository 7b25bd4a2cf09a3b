"""What storage counts: plain integers on the way of a message, turned into samples when the registry is scraped.

Histograms are observed once per command, never once per message.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_COUNTERS: Final = {
    "appended": "Entries appended to logs by this process.",
    "duplicates": "Appends answered with an entry that was there already.",
    "refused": "Appends refused because too many were waiting.",
    "lost_races": "Insert commands that found a place taken by another process.",
    "unknown_outcomes": "Insert commands whose outcome was lost.",
    "expired": "Appends answered as unavailable.",
    "summaries_written": "Summaries of conversations written.",
    "summaries_dropped": "Entries left to the follower because too many summaries were waiting.",
    "reads_moved": "Read positions moved.",
    "followed": "Entries read by the follower.",
    "summaries_repaired": "Rows that the follower found behind the log.",
}
_GAUGES: Final = {
    "queued": "Appends that are not answered yet.",
    "available": "1 while MongoDB answers, else 0.",
    "leading": "1 while this process is the one that follows the log.",
}
_ENTRIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1.0, 2.0, 4.0)


class Stats:
    """The counters of one process. Written and scraped on the event loop."""

    __slots__ = (*_COUNTERS, *_GAUGES, "batch_entries", "commit_duration")

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register everything on `registry`; one `Stats` per registry."""
        self.appended = 0
        self.duplicates = 0
        self.refused = 0
        self.lost_races = 0
        self.unknown_outcomes = 0
        self.expired = 0
        self.summaries_written = 0
        self.summaries_dropped = 0
        self.reads_moved = 0
        self.followed = 0
        self.summaries_repaired = 0
        self.queued = 0
        self.available = 1
        self.leading = 0
        self.batch_entries = Histogram(
            "hubbub_log_batch_entries", "Entries per insert command.", buckets=_ENTRIES, registry=registry
        )
        self.commit_duration = Histogram(
            "hubbub_log_commit_duration_seconds",
            "From sending an insert command to its commit on a majority.",
            buckets=_SECONDS,
            registry=registry,
        )
        registry.register(_Samples(self))


class _Samples(Collector):
    """Reads a `Stats` for the registry."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """One family per number; called by the registry at each scrape."""
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"hubbub_log_{name}", text, value=getattr(self._stats, name))
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"hubbub_log_{name}", text, value=getattr(self._stats, name))
