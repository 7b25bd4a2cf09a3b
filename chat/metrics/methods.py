"""What the product's methods take and how they fail, over the socket, `/v1` and `/api` alike."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime.histogram import Histogram, HistogramFamily, histogram

BUCKETS: Final = (
    *(0.000_5, 0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.03, 0.05),
    *(0.08, 0.12, 0.2, 0.35, 0.6, 1.0, 2.0, 4.0),
)

MAX_ERRORS: Final = 1_000
"""Different (method, error) pairs that are counted; there are fewer unless somebody makes up slugs."""


class MethodStats:
    """Durations and errors by method. Single-threaded, like everything that is scraped on the event loop.

    `ack` is the one number users feel: from having read a send (RPC, publish or REST) to answering that it is stored.
    """

    __slots__ = ("_errors", "_methods", "ack", "duration")

    def __init__(self, registry: CollectorRegistry, methods: Sequence[str]) -> None:
        """`methods` are all there are: a name that a client made up is never a label. One of these per registry."""
        self._methods = frozenset(methods)
        self._errors: dict[tuple[str, str], int] = {}
        self.ack: Histogram = histogram(
            registry, "hubbub_ack_duration_seconds", "From receiving a message to answering that it is stored.", BUCKETS
        )
        self.duration: Mapping[str, Histogram] = HistogramFamily(
            registry,
            "hubbub_method_duration_seconds",
            "From receiving a method call to its answer, errors included.",
            BUCKETS,
            label="method",
            values=methods,
        ).children
        registry.register(_Errors(self))

    def failed(self, method: str, slug: str) -> None:
        """A call was answered with the error `slug` (the catalogue's). Unknown methods are counted together."""
        key = (method if method in self._methods else "unknown", slug)
        if key in self._errors or len(self._errors) < MAX_ERRORS:
            self._errors[key] = self._errors.get(key, 0) + 1

    @property
    def errors(self) -> Mapping[tuple[str, str], int]:
        """Calls answered with an error, by (method, slug)."""
        return self._errors


class _Errors(Collector):
    def __init__(self, stats: MethodStats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "hubbub_method_errors", "Method calls answered with an error.", labels=["method", "error"]
        )
        for (method, slug), count in self._stats.errors.items():
            family.add_metric([method, slug], count)
        yield family
