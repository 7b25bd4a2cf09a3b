"""Rates and percentiles from the snapshots of processes, and their sums over nodes. Pure.

A rate is made of a process' two latest snapshots, a percentile of what was observed in the last `WINDOW_S` seconds.
Processes are put together after that: a process that starts or ends moves a total by what it does, never by what its
counters happened to stand at.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from chat.metrics.snapshot import Buckets, Snapshot

WINDOW_S: Final = 10.0
MINUTE_S: Final = 60.0


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What a process, a node or all of them are doing. None: nothing was observed, or the process has no such thing.

    `bus_alive` is the share of processes whose bus is alive; `cpu_cores` how many cores are busy. Of several processes,
    `loop_lag_p99_ms` is the worst: a sum would hide the one that is stuck.
    """

    connections: float | None = None
    users: float | None = None
    subscriptions: float | None = None
    channels: float | None = None
    outbox_bytes: float | None = None
    rss_bytes: float | None = None
    bus_alive: float | None = None
    in_per_s: float | None = None
    out_per_s: float | None = None
    stored_per_s: float | None = None
    opened_per_s: float | None = None
    closed_per_s: float | None = None
    commands_per_s: float | None = None
    errors_per_s: float | None = None
    received_bytes_per_s: float | None = None
    sent_bytes_per_s: float | None = None
    catch_up_per_s: float | None = None
    bus_published_per_s: float | None = None
    bus_received_per_s: float | None = None
    bus_dropped_per_s: float | None = None
    bus_filled_per_s: float | None = None
    cpu_cores: float | None = None
    fan_out_p50_ms: float | None = None
    fan_out_p99_ms: float | None = None
    ack_p50_ms: float | None = None
    ack_p99_ms: float | None = None
    commit_p50_ms: float | None = None
    commit_p99_ms: float | None = None
    bus_lag_p50_ms: float | None = None
    bus_lag_p99_ms: float | None = None
    loop_lag_p50_ms: float | None = None
    loop_lag_p99_ms: float | None = None
    batch_p50: float | None = None
    batch_p99: float | None = None


_GAUGES: Final = ("connections", "users", "subscriptions", "channels", "outbox_bytes", "rss_bytes")
_RATES: Final[Mapping[str, str]] = {
    "in_per_s": "publications_in",
    "out_per_s": "deliveries",
    "stored_per_s": "stored",
    "opened_per_s": "opened",
    "closed_per_s": "closed",
    "commands_per_s": "commands",
    "errors_per_s": "errors",
    "received_bytes_per_s": "received_bytes",
    "sent_bytes_per_s": "sent_bytes",
    "catch_up_per_s": "catch_up",
    "bus_published_per_s": "bus_published",
    "bus_received_per_s": "bus_received",
    "bus_dropped_per_s": "bus_dropped",
    "bus_filled_per_s": "bus_filled",
    "cpu_cores": "cpu_s",
}
_MILLISECONDS: Final = ("fan_out", "ack", "commit", "bus_lag", "loop_lag")

_Key = TypeVar("_Key")
_Number = TypeVar("_Number", int, float)

Window = Mapping[float, int]
"""Observations of a while by upper bound (infinity for the last)."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a process (or several) is doing: parts that can be added up."""

    gauges: Mapping[str, float]
    rates: Mapping[str, float]
    windows: Mapping[str, Window]
    worst_loop_lag_ms: float | None


def percentile(window: Window, share: float) -> float | None:
    """The value that `share` (0 to 1) of the observations do not exceed, by interpolation in its bucket.

    None without observations. In the unbounded bucket it is the largest bound: "at least that".
    """
    total = sum(window.values())
    if total == 0:
        return None
    wanted = share * total
    seen, lower = 0, 0.0
    for bound in sorted(window):
        count = window[bound]
        if count and seen + count >= wanted:
            return lower if bound == float("inf") else min(bound, lower + (bound - lower) * (wanted - seen) / count)
        seen += count
        lower = bound if bound != float("inf") else lower
    return lower


def doing(before: Snapshot | None, window_start: Snapshot | None, latest: Snapshot) -> Doing:
    """What a process is doing by its `latest` snapshot, the one `before` it and the one where the window starts."""
    rates: dict[str, float] = {}
    if before is not None and latest.at > before.at:
        seconds = (latest.at - before.at) / 1000
        for key, counter in _RATES.items():
            if counter in latest.counters and counter in before.counters:
                rates[key] = max(0.0, latest.counters[counter] - before.counters[counter]) / seconds
    windows = {
        key: _since(window_start.histograms.get(key) if window_start is not None else None, buckets)
        for key, buckets in latest.histograms.items()
    }
    lag = percentile(windows.get("loop_lag", {}), 0.99)
    return Doing(latest.gauges, rates, windows, None if lag is None else lag * 1000)


def together(parts: Iterable[Doing]) -> Point:
    """What several processes (or one) are doing."""
    gauges: dict[str, float] = {}
    rates: dict[str, float] = {}
    windows: dict[str, dict[float, int]] = {}
    lags: list[float] = []
    buses: list[float] = []
    for part in parts:
        _add(gauges, part.gauges)
        _add(rates, part.rates)
        for key, window in part.windows.items():
            _add(windows.setdefault(key, {}), window)
        if part.worst_loop_lag_ms is not None:
            lags.append(part.worst_loop_lag_ms)
        if "bus_alive" in part.gauges:
            buses.append(part.gauges["bus_alive"])
    values = {key: rates.get(key) for key in _RATES}
    for key in _MILLISECONDS:
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            seconds = percentile(windows.get(key, {}), share)
            values[f"{key}_{name}_ms"] = None if seconds is None else seconds * 1000
    values["loop_lag_p99_ms"] = max(lags, default=None)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        entries = percentile(windows.get("batch", {}), share)
        # Entries are whole: what lies between two numbers was the higher one.
        values[f"batch_{name}"] = None if entries is None else float(math.ceil(entries))
    values["bus_alive"] = sum(buses) / len(buses) if buses else None
    return Point(**{key: gauges.get(key) for key in _GAUGES}, **{key: _short(value) for key, value in values.items()})


class Track:
    """The recent snapshots of one process, as a reader got them."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Snapshot]] = deque()
        self._labelled: deque[tuple[float, Mapping[str, Mapping[str, float]]]] = deque()

    def take(self, snapshot: Snapshot, now: float) -> None:
        """A snapshot read at `now` (monotonic). The one that is known already, or an older one, changes nothing."""
        if self._recent and snapshot.at <= self._recent[-1][1].at:
            return
        self._recent.append((now, snapshot))
        # One from before the window stays: the window starts there.
        while len(self._recent) > 2 and self._recent[1][0] <= now - WINDOW_S:
            self._recent.popleft()
        self._labelled.append((now, snapshot.labelled))
        while len(self._labelled) > 2 and self._labelled[1][0] <= now - MINUTE_S:
            self._labelled.popleft()

    @property
    def latest(self) -> Snapshot:
        """IndexError before the first `take`."""
        return self._recent[-1][1]

    def age_s(self, now: float) -> float:
        """Since the latest snapshot came. By the reader's clock alone: clocks of nodes differ."""
        return now - self._recent[-1][0]

    def doing(self, *, stale: bool = False) -> Doing:
        """By the snapshots taken so far; without rates after the first one, or if the latest is `stale`."""
        if stale:
            return Doing(self.latest.gauges, {}, {}, None)
        before = self._recent[-2][1] if len(self._recent) > 1 else None
        start = self._recent[0][1] if len(self._recent) > 1 else None
        return doing(before, start, self.latest)

    def last_minute(self, family: str) -> dict[str, float]:
        """How much the labelled counters of `family` grew in the last minute, without the zeros."""
        then, now = self._labelled[0][1].get(family, {}), self.latest.labelled.get(family, {})
        grown = {label: value - then.get(label, 0.0) for label, value in now.items()}
        return {label: value for label, value in grown.items() if value > 0}


def _since(start: Buckets | None, latest: Buckets) -> Window:
    bounds = (*latest.le, float("inf"))
    if start is None or start.le != latest.le:
        return dict.fromkeys(bounds, 0)
    counts = (now - then for now, then in zip(latest.counts, start.counts, strict=True))
    return dict(zip(bounds, (max(0, count) for count in counts), strict=True))


def _add(sums: dict[_Key, _Number], parts: Mapping[_Key, _Number]) -> None:
    for key, value in parts.items():
        sums[key] = sums[key] + value if key in sums else value


def _short(value: float | None) -> float | None:
    """Four significant digits: what is sent every second is for eyes."""
    return None if value is None else float(f"{value:.4g}")
