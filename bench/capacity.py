"""What so many users need, from what things cost: arithmetic only, and the table that it comes to.

    python -m bench.capacity            the plans of docs/capacity.md
    python -m bench.capacity --check    what costs predict, beside what bench/nodes.py measured last

Costs are measured (bench/costs.toml names the command of each), what users do is assumed (in the same file). Times are
in µs of CPU, of a core like the one they were measured on.
"""

import argparse
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from realtime.repair import POLLED_PER_S

HERE: Final = Path(__file__).parent
COSTS: Final = HERE / "costs.toml"
MEASURED: Final = HERE / "results" / "nodes.json"

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """What one of something costs a hub, and Redis."""

    send_us: float
    """A hub: to take a message and have it acknowledged, its share of the commit included."""
    deliver_us: float
    """A hub: to hand a message to one connection."""
    hear_us: float
    """A hub that did not write it: to hear a message on the bus and have it ready for its connections."""
    redis_publish_us: float
    redis_copy_us: float
    """Redis: to take a message, and to give it to one process that listens (the one that wrote it does as well)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Of one message: how many connections it goes to, and on how many hubs these are."""

    deliveries: float
    hubs: float


class Hub:
    """What a message costs all hubs together."""

    @staticmethod
    def message_us(costs: UnitCosts, layout: Layout) -> float:
        """Sent once, heard on every other hub that has somebody to give it to, delivered to everybody."""
        heard = max(0.0, layout.hubs - 1)
        return costs.send_us + heard * costs.hear_us + layout.deliveries * costs.deliver_us


def redis_message_us(costs: UnitCosts, layout: Layout) -> float:
    """What a message costs the Redis server that its conversation lives on."""
    return costs.redis_publish_us + max(1.0, layout.hubs) * costs.redis_copy_us


def hubs_reached(hubs: float, connections: float) -> float:
    """On how many of so many hubs so many connections are, if each is on any of them: no more than there are of either.

    `hubs * (1 - (1 - 1/hubs) ** connections)`.
    """
    return 1.0 if hubs <= 1 else hubs * -math.expm1(connections * math.log1p(-1 / hubs))


@dataclass(frozen=True, slots=True)
class OtherCosts:
    """What else things cost. Memory in KB of 1,000 bytes."""

    hub_idle_us_per_s: float
    """A hub where nothing happens."""
    connection_kb: float
    hub_base_kb: float
    connect_us: float
    """A hub: to let one client in that resumes, with everything that it asks for."""
    page_us: float
    poll_row_us: float
    """A hub: for each conversation that moved anywhere, when it looks for what the bus lost."""
    mongod_message_us: float
    mongod_connect_us: float
    mongod_page_us: float
    mongod_poll_row_us: float
    stored_bytes: float
    """On the disk of one member of the replica set, a message with its indexes."""
    worker_message_us: float
    wire_bytes: float
    """A message as one connection gets it, with TCP's and IP's headers."""
    bus_bytes: float
    """A message as Redis gives it to one process."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What users do. Shares are from 0 to 1."""

    online_share: float
    """Of all users, connected at the busiest time."""
    connections_per_online_user: float
    messages_per_user_day: float
    peak_factor: float
    """The busiest hour's rate to the day's mean."""
    members: float
    """Of the conversation of a message, weighted by message."""
    member_online_share: float
    """Of its members: higher than `online_share`, as who is written to is where the writer is."""
    connects_per_user_day: float
    pages_per_user_day: float
    retention_days: float
    talking_share: float
    """Conversations that are being written to at the busiest time, for each connected user."""
    hot_days: float
    """Of which the messages should be in MongoDB's cache."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far things are used at the busiest time. Shares of a core or a server."""

    hub_share: float
    redis_share: float
    mongod_cores: float
    mongod_share: float
    connections_per_hub: float
    shard_ram_gb: float
    shard_disk_gb: float


@dataclass(frozen=True, slots=True)
class Inputs:
    units: UnitCosts
    other: OtherCosts
    usage: Usage
    limits: Limits


POLL_INTERVAL_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What so many users need at the busiest time."""

    users: float
    connections: float
    messages_per_s: float
    deliveries_per_s: float
    hubs: int
    hubs_by_connections: int
    hub_cores: float
    hubs_reached: float
    hub_ram_gb: float
    poll_every_s: float
    redis_servers: int
    redis_cores: float
    redis_gbit_per_s: float
    mongod_cores: float
    shards: int
    shards_by: str
    cache_gb: float
    disk_gb: float
    worker_cores: float
    egress_gbit_per_s: float
    next_hub_us_per_message: float
    """What one hub more adds to each message: hearing it, and Redis' copy."""


def plan(users: float, inputs: Inputs) -> Plan:
    usage, limits, other = inputs.usage, inputs.limits, inputs.other
    connections = users * usage.online_share * usage.connections_per_online_user
    messages = users * usage.messages_per_user_day / DAY_S * usage.peak_factor
    talking = users * usage.online_share * usage.talking_share
    deliveries = max(1.0, usage.members * usage.member_online_share * usage.connections_per_online_user)
    by_connections = max(1, math.ceil(connections / limits.connections_per_hub))
    hubs, cores = _hubs(users, messages, deliveries, by_connections, inputs)
    layout = Layout(deliveries, hubs_reached(hubs, deliveries))
    redis_cores = messages * redis_message_us(inputs.units, layout) / 1e6
    mongod_cores = _mongod_cores(users, messages, hubs, inputs)
    daily_gb = users * usage.messages_per_user_day * other.stored_bytes / 1e9
    disk, cache = daily_gb * usage.retention_days, daily_gb * usage.hot_days
    needs = {
        "CPU": mongod_cores / (limits.mongod_cores * limits.mongod_share),
        "cache": cache / (limits.shard_ram_gb / 2),
        "disk": disk / limits.shard_disk_gb,
    }
    shards_by = max(needs, key=lambda one: needs[one])
    return Plan(
        users=users,
        connections=connections,
        messages_per_s=messages,
        deliveries_per_s=messages * deliveries,
        hubs=hubs,
        hubs_by_connections=by_connections,
        hub_cores=cores,
        hubs_reached=layout.hubs,
        hub_ram_gb=(hubs * other.hub_base_kb + connections * other.connection_kb) / 1e6,
        poll_every_s=poll_every_s(messages, talking),
        redis_servers=max(1, math.ceil(redis_cores / limits.redis_share)),
        redis_cores=redis_cores,
        redis_gbit_per_s=messages * max(1.0, layout.hubs) * other.bus_bytes * 8 / 1e9,
        mongod_cores=mongod_cores,
        shards=max(1, math.ceil(needs[shards_by])),
        shards_by=shards_by,
        cache_gb=cache,
        disk_gb=disk,
        worker_cores=messages * other.worker_message_us / 1e6,
        egress_gbit_per_s=messages * deliveries * other.wire_bytes * 8 / 1e9,
        next_hub_us_per_message=(hubs_reached(hubs + 1, deliveries) - layout.hubs)
        * (inputs.units.hear_us + inputs.units.redis_copy_us),
    )


def poll_every_s(moved: float, talking: float) -> float:
    """How often a hub looks at the heads of what moved: every two seconds, or as seldom as `POLLED_PER_S` asks.

    It looks at a conversation once however often that moved, so at no more than are being written to (`talking`).
    """
    if moved <= POLLED_PER_S:
        return POLL_INTERVAL_S
    return max(POLL_INTERVAL_S, talking / POLLED_PER_S)


def _hubs(users: float, messages: float, deliveries: float, least: int, inputs: Inputs) -> tuple[int, float]:
    """How many hubs, and the cores that they use: more hubs hear more, so it is found by trying."""
    usage, other, limits = inputs.usage, inputs.other, inputs.limits
    per_s = usage.peak_factor / DAY_S * users
    coming = usage.connects_per_user_day * per_s * other.connect_us
    paging = usage.pages_per_user_day * per_s * other.page_us
    hubs = least
    while True:
        layout = Layout(deliveries, hubs_reached(hubs, deliveries))
        polling = min(messages, POLLED_PER_S) * other.poll_row_us * hubs
        idle = hubs * other.hub_idle_us_per_s
        cores = (messages * Hub.message_us(inputs.units, layout) + coming + paging + polling + idle) / 1e6
        needed = math.ceil(cores / limits.hub_share)
        if needed <= hubs:
            return hubs, cores
        hubs = needed


def _mongod_cores(users: float, messages: float, hubs: int, inputs: Inputs) -> float:
    usage, other = inputs.usage, inputs.other
    per_s = usage.peak_factor / DAY_S * users
    polled = hubs * min(messages, POLLED_PER_S)
    return (
        messages * other.mongod_message_us
        + usage.connects_per_user_day * per_s * other.mongod_connect_us
        + usage.pages_per_user_day * per_s * other.mongod_page_us
        + polled * other.mongod_poll_row_us
    ) / 1e6


def read_inputs(path: Path = COSTS) -> Inputs:
    """Raises KeyError for a cost that is not there, TypeError for one that nobody knows."""
    with path.open("rb") as file:
        found = tomllib.load(file)
    costs = {name: one["value"] for name, one in found["costs"].items()}
    units = {one.name for one in fields(UnitCosts)}
    return Inputs(
        UnitCosts(**{name: value for name, value in costs.items() if name in units}),
        OtherCosts(**{name: value for name, value in costs.items() if name not in units}),
        Usage(**found["usage"]),
        Limits(**found["limits"]),
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """A figure of bench/nodes.py: what the costs predict, and what was measured in the same run."""

    members: int
    hubs: int
    predicted_us: float
    measured_us: float

    @property
    def off(self) -> float:
        """By how much of what was measured the prediction is too high."""
        return self.predicted_us / self.measured_us - 1


def check(measured: Mapping[str, Any]) -> list[Checked]:
    """Of the results of bench/nodes.py (as its JSON has them), by medians."""
    series = {
        (figure["name"], one["at"]): _median(one["values"])
        for figure in measured["figures"]
        for one in figure["series"]
    }
    units = UnitCosts(
        send_us=series["a send", None],
        deliver_us=series["a delivery", None],
        hear_us=series["hearing it on one more hub", None],
        redis_publish_us=series["Redis: taking a message", None],
        redis_copy_us=series["Redis: a copy of it", None],
    )
    found = []
    for members, size in ((2, "two"), (10, "ten")):
        for (name, hubs), value in series.items():
            if name == f"a delivery, {size} members":
                layout = Layout(members, min(members, hubs))
                found.append(Checked(members, hubs, Hub.message_us(units, layout) / members, value))
    return found


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)

ROWS: Final[Sequence[tuple[str, str, float, int]]] = (
    ("connections", "connections", 1, 0),
    ("messages a second", "messages_per_s", 1, 0),
    ("deliveries a second", "deliveries_per_s", 1, 0),
    ("hub processes", "hubs", 1, 0),
    ("of them for their connections alone", "hubs_by_connections", 1, 0),
    ("cores that hubs use", "hub_cores", 1, 1),
    ("hubs that a message reaches", "hubs_reached", 1, 1),
    ("memory of hubs, GB", "hub_ram_gb", 1, 1),
    ("a hub looks for lost messages every, s", "poll_every_s", 1, 0),
    ("Redis servers", "redis_servers", 1, 0),
    ("cores that Redis uses", "redis_cores", 1, 2),
    ("Redis to hubs, Gbit/s", "redis_gbit_per_s", 1, 2),
    ("MongoDB shards", "shards", 1, 0),
    ("because of", "shards_by", 1, 0),
    ("cores that primaries use", "mongod_cores", 1, 1),
    ("messages kept in cache, GB", "cache_gb", 1, 1),
    ("disk of one member each, TB", "disk_gb", 1e-3, 2),
    ("cores that the follower uses", "worker_cores", 1, 2),
    ("to clients, Gbit/s", "egress_gbit_per_s", 1, 2),
    ("one hub more, µs a message", "next_hub_us_per_message", 1, 2),
)


def table(plans: Sequence[Plan]) -> str:
    """Markdown: a column for each plan."""
    lines = ["| | " + " | ".join(f"{one.users:,.0f}" for one in plans) + " |", "|---|" + "---|" * len(plans)]
    for title, name, factor, digits in ROWS:
        cells = [asdict(one)[name] for one in plans]
        shown = [one if isinstance(one, str) else f"{one * factor:,.{digits}f}" for one in cells]
        lines.append(f"| {title} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def check_table(checked: Sequence[Checked]) -> str:
    lines = ["| members | hubs | predicted, µs | measured, µs | off |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.members} | {one.hubs} | {one.predicted_us:.0f} | {one.measured_us:.0f} | {one.off:+.0%} |"
        for one in checked
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--check", action="store_true", help="compare predictions with the last run of bench/nodes.py")
    parser.add_argument("--users", type=float, nargs="*", default=SIZES)
    given = parser.parse_args()
    if given.check:
        print(check_table(check(json.loads(MEASURED.read_text()))))
    else:
        inputs = read_inputs(given.costs)
        print(table([plan(users, inputs) for users in given.users]))


if __name__ == "__main__":
    main()
