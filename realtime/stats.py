"""What a hub process counts: plain integers that the hot path adds to, turned into Prometheus samples only when asked.

`stats.deliveries += n` is all the hub does per publication; names, help texts and labels live in the table below and
are looked at once a scrape. Histograms are made on the registry that is passed in, with every label child made
beforehand, so that nothing looks one up by label on the way of a message.

Label values come from fixed sets or are bounded here: never a user, a conversation or a channel.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime.histogram import Histogram, HistogramFamily, histogram

CODECS: Final = ("json", "protobuf")
COMMANDS: Final = (
    "connect",
    "subscribe",
    "unsubscribe",
    "publish",
    "presence",
    "presence_stats",
    "history",
    "ping",
    "send",
    "rpc",
    "refresh",
    "sub_refresh",
)
REFUSALS: Final = (
    "origin",
    "draining",
    "connection_limit",
    "address_limit",
    "upgrade_rate",
    "loop_lag",
    "connecting",
    "memory",
    "bad_request",
)

RATE_LIMITS: Final = (
    "connection_commands",
    "connection_refusals",
    "connection_errors",
    "user_commands",
    "user_sends",
    "address_upgrades",
    "address_failed_sign_ins",
)

OTHER: Final = -1
"""The key that codes beyond the bound are counted under; `other` in the exposition."""

MAX_CODES: Final = 64
"""Different codes kept per counter: a server API caller may disconnect with any code, series must stay few."""

FAN_OUT_BUCKETS: Final = (
    *(0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_5, 0.003),
    *(0.006, 0.012, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8),
)
COMMAND_BUCKETS: Final = (
    *(0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03),
    *(0.06, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
)
LAG_BUCKETS: Final = (
    *(0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06),
    *(0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
)


@dataclass(frozen=True, slots=True)
class _Field:
    """An attribute of `Stats` and the family it becomes. With a `label` the attribute is a dict, else an integer."""

    attribute: str
    kind: Literal["counter", "gauge"]
    name: str
    help: str
    label: str = ""


_FIELDS: Final = (
    _Field("connections", "gauge", "connections", "Open connections.", "codec"),
    _Field("connecting", "gauge", "connecting", "Connect commands that are being answered."),
    _Field("users", "gauge", "users", "Users with at least one connection."),
    _Field("subscriptions", "gauge", "subscriptions", "Subscriptions of all connections."),
    _Field("channels", "gauge", "channels", "Channels with at least one subscription."),
    _Field("outbox_bytes", "gauge", "outbox_bytes", "Bytes queued for all sockets."),
    _Field("bus_alive", "gauge", "bus_alive", "1 while the bus proves to be alive, else 0."),
    _Field("bus_queued_bytes", "gauge", "bus_queued_bytes", "Bytes that wait to be given to Redis."),
    _Field("connections_opened", "counter", "connections_opened", "Connections accepted.", "codec"),
    _Field("connections_refused", "counter", "connections_refused", "Upgrades refused.", "reason"),
    _Field(
        "disconnects", "counter", "disconnects", "Connections ended, by code; 0: by the client or the network.", "code"
    ),
    _Field("unsubscribes", "counter", "unsubscribes", "Subscriptions ended by the server.", "code"),
    _Field("commands", "counter", "commands", "Commands received.", "command"),
    _Field("errors", "counter", "errors", "Commands answered with an error.", "code"),
    _Field("rate_limited", "counter", "rate_limited", "What was refused or closed, by the rate limit.", "limit"),
    _Field(
        "publications_in", "counter", "publications_in", "Publications accepted from clients and APIs (not the bus)."
    ),
    _Field("deliveries", "counter", "deliveries", "Publications handed to sockets: one per publication and receiver."),
    _Field(
        "ephemeral_dropped", "counter", "ephemeral_dropped", "Ephemeral publications not given to a slow connection."
    ),
    _Field("frames_in", "counter", "frames_in", "WebSocket data frames received."),
    _Field("frames_out", "counter", "frames_out", "WebSocket data frames written."),
    _Field("bytes_in", "counter", "received_bytes", "Bytes of frames received."),
    _Field("bytes_out", "counter", "sent_bytes", "Bytes of frames written, headers included."),
    _Field("recoveries", "counter", "recoveries", "Positions that clients asked to recover from.", "recovered"),
    _Field("catch_up_publications", "counter", "catch_up_publications", "Missed publications delivered in catch-up."),
    _Field("bus_published", "counter", "bus_published", "Deliveries given to the bus."),
    _Field("bus_received", "counter", "bus_received", "Deliveries heard on the bus."),
    _Field("bus_dropped", "counter", "bus_dropped", "Deliveries dropped because the bus was away or too slow."),
    _Field("bus_bad", "counter", "bus_bad", "Messages heard on the bus that were none of ours, or of another version."),
    _Field("bus_duplicates", "counter", "bus_duplicates", "Deliveries heard that were behind the cursor."),
    _Field("bus_held", "counter", "bus_held", "Deliveries ahead of the cursor that waited for the missing ones."),
    _Field("bus_filled", "counter", "bus_filled", "Publications that the bus had lost and the log gave."),
    _Field("bus_gaps", "counter", "bus_gaps", "Times the link to the bus may have lost deliveries."),
)


class Stats:
    """The counters of one hub process. Single-threaded: added to and scraped on the event loop.

    Dicts over a fixed label set (`connections`, `commands`, `recoveries`, ...) are complete from the start.
    Dicts by code are added to through `disconnected`, `unsubscribed` and `failed`, which bound the number of keys.
    """

    __slots__ = (
        *(field.attribute for field in _FIELDS),
        "connects",
        "bus_lag",
        "command_duration",
        "fan_out_duration",
        "loop_lag",
    )

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make the histograms on `registry` and register the counters there. One `Stats` per registry."""
        self.connections = dict.fromkeys(CODECS, 0)
        self.connecting = 0
        # When those that are being answered began, by client, the oldest first.
        self.connects: dict[str, float] = {}
        self.users = 0
        self.subscriptions = 0
        self.channels = 0
        self.outbox_bytes = 0
        self.bus_alive = 0
        self.bus_queued_bytes = 0

        self.connections_opened = dict.fromkeys(CODECS, 0)
        self.connections_refused = dict.fromkeys(REFUSALS, 0)
        self.disconnects: dict[int, int] = {}
        self.unsubscribes: dict[int, int] = {}
        self.commands = dict.fromkeys(COMMANDS, 0)
        self.errors: dict[int, int] = {}
        self.rate_limited = dict.fromkeys(RATE_LIMITS, 0)
        self.publications_in = 0
        self.deliveries = 0
        self.ephemeral_dropped = 0
        self.frames_in = 0
        self.frames_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.recoveries = {"yes": 0, "no": 0}
        self.catch_up_publications = 0

        self.bus_published = 0
        self.bus_received = 0
        self.bus_dropped = 0
        self.bus_bad = 0
        self.bus_duplicates = 0
        self.bus_held = 0
        self.bus_filled = 0
        self.bus_gaps = 0

        self.fan_out_duration = histogram(
            registry,
            "hubbub_fan_out_duration_seconds",
            "Handing one batch of publications to all its receivers.",
            FAN_OUT_BUCKETS,
        )
        self.bus_lag = histogram(
            registry, "hubbub_bus_lag_seconds", "From publishing on the bus to hearing it.", LAG_BUCKETS
        )
        self.loop_lag = histogram(
            registry, "hubbub_event_loop_lag_seconds", "How late the event loop called a due timer.", LAG_BUCKETS
        )
        self.command_duration: Mapping[str, Histogram] = HistogramFamily(
            registry,
            "hubbub_command_duration_seconds",
            "From receiving a command to queueing its reply.",
            COMMAND_BUCKETS,
            label="command",
            values=COMMANDS,
        ).children
        registry.register(_Samples(self))

    def disconnected(self, code: int) -> None:
        """A connection ended; `code` is the one that was sent, 0 if the client or the network ended it."""
        _count(self.disconnects, code)

    def unsubscribed(self, code: int) -> None:
        """The server ended a subscription."""
        _count(self.unsubscribes, code)

    def failed(self, code: int) -> None:
        """A command was answered with an error."""
        _count(self.errors, code)


class _Samples(Collector):
    """Reads a `Stats` for the registry. Apart from it, because prometheus_client's base class would give it a dict."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """One family per field; called by the registry at each scrape."""
        for field in _FIELDS:
            value: int | dict[str, int] | dict[int, int] = getattr(self._stats, field.attribute)
            labels = [field.label] if field.label else []
            family = (CounterMetricFamily if field.kind == "counter" else GaugeMetricFamily)(
                f"hubbub_{field.name}", field.help, labels=labels
            )
            if isinstance(value, int):
                family.add_metric([], value)
            else:
                for key, count in value.items():
                    family.add_metric(["other" if key == OTHER else str(key)], count)
            yield family


def _count(counts: dict[int, int], code: int) -> None:
    if code not in counts and len(counts) >= MAX_CODES:
        code = OTHER
    counts[code] = counts.get(code, 0) + 1
