"""How a worker's lanes go, as it tells the admin page once a second with its snapshot."""

from collections.abc import Iterable

from chat.metrics.snapshot import Lane
from chat.push.lanes import LaneStatus


def shown(statuses: Iterable[LaneStatus]) -> list[Lane]:
    """For `open_metrics(lanes=...)`. Those that do not just send come first, in case there are too many."""
    lanes = [
        Lane(one.lane, one.state.value, one.running, one.reason, one.until, one.suspect_since, one.origins)
        for one in statuses
    ]
    return sorted(lanes, key=lambda one: (one.state == "closed" and one.suspect_since is None, one.lane))
