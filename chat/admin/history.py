"""The last fifteen minutes of what the charts show, per scope, in bounded memory. Pure."""

import math
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Final

from chat.admin.rates import Point

KEPT_S: Final = 900.0
MAX_POINTS: Final = 900
MAX_SCOPES: Final = 128
"""Scopes (total, nodes, processes) with a history; further ones have only their latest point. 9 MB when all are full.
"""

CHARTED: Final = (
    "connections",
    "users",
    "in_per_s",
    "out_per_s",
    "fan_out_p50_ms",
    "fan_out_p99_ms",
    "ack_p50_ms",
    "ack_p99_ms",
    "loop_lag_p50_ms",
    "loop_lag_p99_ms",
    "batch_p50",
    "batch_p99",
    "bus_received_per_s",
    "bus_published_per_s",
    "bus_lag_p50_ms",
    "bus_lag_p99_ms",
)
"""The fields of a point that are kept."""

CLOCK_SET_BACK_MS: Final = 30_000

_NOTHING: Final = float("nan")


class History:
    """Points by scope and time (ms). A point that is not newer than the last is left out, unless the clock was set
    back.
    """

    def __init__(self) -> None:
        self._scopes: dict[str, deque[tuple[int, array[float]]]] = {}

    def add(self, at: int, points: Mapping[str, Point]) -> None:
        """A point for each scope. A scope without one keeps what it has until that is too old, then it is forgotten."""
        for scope, point in points.items():
            kept = self._scopes.get(scope)
            if kept is None:
                if len(self._scopes) >= MAX_SCOPES:
                    continue
                kept = self._scopes[scope] = deque(maxlen=MAX_POINTS)
            if kept and at < kept[-1][0] - CLOCK_SET_BACK_MS:
                kept.clear()
            if not kept or at > kept[-1][0]:
                values = (getattr(point, field) for field in CHARTED)
                kept.append((at, array("f", (_NOTHING if value is None else value for value in values))))
        for scope, kept in list(self._scopes.items()):
            while kept and kept[0][0] < at - KEPT_S * 1000:
                kept.popleft()
            if not kept:
                del self._scopes[scope]

    def columns(self, scope: str, *, after: int = 0) -> dict[str, list[float | None]]:
        """`at` (ms) and each of `CHARTED` as equally long lists, of the points later than `after`. Unknown: empty."""
        points = [point for point in self._scopes.get(scope, ()) if point[0] > after]
        columns: dict[str, list[float | None]] = {"at": [at for at, _ in points]}
        for index, field in enumerate(CHARTED):
            columns[field] = [_value(values[index]) for _, values in points]
        return columns

    def trend(self, scope: str, field: str, size: int) -> list[float | None]:
        """The last `size` values of one of `CHARTED`."""
        kept = list(self._scopes.get(scope, ()))[-size:]
        return [_value(values[CHARTED.index(field)]) for _, values in kept]


def _value(value: float) -> float | None:
    # Single precision holds seven digits; more of them is rounding that only costs bytes.
    return None if math.isnan(value) else float(f"{value:.7g}")
