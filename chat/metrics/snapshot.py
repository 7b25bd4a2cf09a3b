"""What a process tells the other nodes about itself once a second: a few KB of JSON in its lease. Pure.

Counters and buckets go out as they are; whoever reads two snapshots makes rates and percentiles of them, so that a
missed one costs nothing and any number of processes can be put together.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from chat.metrics.families import Family

VERSION: Final = 1

MAX_HOT: Final = 20
"""Hot conversations in a snapshot."""

MAX_LANES: Final = 50
"""Lanes of push in a snapshot."""

# By sample name, labels summed away.
GAUGES: Final[Mapping[str, str]] = {
    "connections": "hubbub_connections",
    "users": "hubbub_users",
    "subscriptions": "hubbub_subscriptions",
    "channels": "hubbub_channels",
    "outbox_bytes": "hubbub_outbox_bytes",
    "bus_alive": "hubbub_bus_alive",
    "rss_bytes": "process_resident_memory_bytes",
}
COUNTERS: Final[Mapping[str, str]] = {
    "opened": "hubbub_connections_opened_total",
    "closed": "hubbub_disconnects_total",
    "commands": "hubbub_commands_total",
    "errors": "hubbub_errors_total",
    "publications_in": "hubbub_publications_in_total",
    "deliveries": "hubbub_deliveries_total",
    "frames_out": "hubbub_frames_out_total",
    "received_bytes": "hubbub_received_bytes_total",
    "sent_bytes": "hubbub_sent_bytes_total",
    "catch_up": "hubbub_catch_up_publications_total",
    "bus_published": "hubbub_bus_published_total",
    "bus_received": "hubbub_bus_received_total",
    "bus_dropped": "hubbub_bus_dropped_total",
    "bus_duplicates": "hubbub_bus_duplicates_total",
    "bus_held": "hubbub_bus_held_total",
    "bus_filled": "hubbub_bus_filled_total",
    "bus_gaps": "hubbub_bus_gaps_total",
    "stored": "hubbub_log_appended_total",
    "cpu_s": "process_cpu_seconds_total",
}
# By family name.
HISTOGRAMS: Final[Mapping[str, str]] = {
    "fan_out": "hubbub_fan_out_duration_seconds",
    "ack": "hubbub_ack_duration_seconds",
    "loop_lag": "hubbub_event_loop_lag_seconds",
    "bus_lag": "hubbub_bus_lag_seconds",
    "batch": "hubbub_log_batch_entries",
    "commit": "hubbub_log_commit_duration_seconds",
}
LABELLED: Final[Mapping[str, str]] = {
    "disconnects": "hubbub_disconnects",
    "refused": "hubbub_connections_refused",
    "recoveries": "hubbub_recoveries",
}


class Buckets(msgspec.Struct, frozen=True):
    """A histogram: `counts[i]` observations up to `le[i]` (and above `le[i-1]`), the last count above all of `le`."""

    le: list[float]
    counts: list[int]


class Hot(msgspec.Struct, frozen=True, array_like=True):
    """A busy conversation on one process: deliveries per second and local subscribers."""

    conversation: str
    deliveries_per_s: float
    subscribers: int


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """A lane of push, as one worker knows it. Times in ms; see `chat.push.lanes.LaneStatus`."""

    lane: str
    state: str
    running: int
    reason: str = ""
    until: int | None = None
    suspect_since: int | None = None
    origins: int = 0


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which process this is. `process` is unique over all time, `slot` its place on its node, `role` hub or worker."""

    process: str
    node: str
    slot: str
    role: str
    pid: int
    version: str
    started_at: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A process at `at` (ms, its own clock). What a process does not have is missing: count on no key."""

    v: int = VERSION
    at: int
    who: Identity
    gauges: dict[str, float]
    counters: dict[str, float]
    histograms: dict[str, Buckets]
    labelled: dict[str, dict[str, float]]
    hot: list[Hot] = []
    lanes: list[Lane] = []


def make(
    families: Iterable[Family], who: Identity, *, at: int, hot: Sequence[Hot] = (), lanes: Sequence[Lane] = ()
) -> Snapshot:
    """The snapshot of what a registry collected. Labels are summed away, except those in `LABELLED`."""
    by_name = {family.name: family for family in families}
    totals: dict[str, float] = {}
    for family in by_name.values():
        for sample, _, value in family.samples:
            totals[sample] = totals.get(sample, 0.0) + value
    return Snapshot(
        at=at,
        who=who,
        gauges={key: totals[name] for key, name in GAUGES.items() if name in totals},
        # A family that counts by code has no sample before its first one: that is zero, not unknown.
        counters={
            key: totals.get(name, 0.0)
            for key, name in COUNTERS.items()
            if name in totals or name.removesuffix("_total") in by_name
        },
        histograms={key: _buckets(by_name[name]) for key, name in HISTOGRAMS.items() if name in by_name},
        labelled={key: _by_label(by_name[name]) for key, name in LABELLED.items() if name in by_name},
        hot=list(hot[:MAX_HOT]),
        lanes=list(lanes[:MAX_LANES]),
    )


def encode(snapshot: Snapshot) -> bytes:
    """JSON, as it goes into the lease."""
    return msgspec.json.encode(snapshot)


def decode(data: bytes) -> Snapshot:
    """ValueError if it is not a snapshot, or one of a release that means something else by it."""
    snapshot = msgspec.json.decode(data, type=Snapshot)
    if snapshot.v != VERSION:
        raise ValueError(f"snapshot version {snapshot.v}, this release reads {VERSION}")
    return snapshot


def _by_label(family: Family) -> dict[str, float]:
    """A family with one label, without the zeros."""
    return {labels[0][1]: value for _, labels, value in family.samples if labels and value}


def _buckets(family: Family) -> Buckets:
    cumulative: dict[float, float] = {}
    for name, labels, value in family.samples:
        if name.endswith("_bucket"):
            bound = float(dict(labels)["le"])
            cumulative[bound] = cumulative.get(bound, 0.0) + value
    bounds = sorted(cumulative)
    counts: list[int] = []
    below = 0.0
    for bound in bounds:
        counts.append(round(cumulative[bound] - below))
        below = cumulative[bound]
    return Buckets([bound for bound in bounds if bound != float("inf")], counts)
