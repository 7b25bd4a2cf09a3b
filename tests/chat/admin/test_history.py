"""The past that the charts draw."""

import msgspec
import pytest

from chat.admin import history as module
from chat.admin.history import CHARTED, History
from chat.admin.rates import Point


def test_columns_are_equally_long_and_say_what_is_unknown() -> None:
    history = History()
    history.add(1_000, {"total": Point(connections=15_234.0)})
    history.add(2_000, {"total": Point(out_per_s=12.5)})
    columns = history.columns("total")

    assert columns["at"] == [1_000, 2_000]
    assert columns["connections"] == [15_234, None]
    assert columns["out_per_s"] == [None, 12.5]
    assert {len(column) for column in columns.values()} == {2}
    assert set(columns) == {"at", *CHARTED}
    assert b"NaN" not in msgspec.json.encode(columns)


def test_only_what_came_after_a_time_is_given() -> None:
    history = History()
    for at in range(10):
        history.add(at, {"total": Point(connections=float(at))})
    assert history.columns("total", after=7)["connections"] == [8, 9]
    assert history.columns("total", after=100)["at"] == []
    assert history.columns("node:unknown")["at"] == []


def test_what_is_older_than_it_keeps_is_forgotten_and_so_are_scopes() -> None:
    history = History()
    history.add(0, {"total": Point(), "process:a": Point()})
    for second in range(1, 2_000):
        history.add(second * 1000, {"total": Point()})
    assert len(history.columns("total")["at"]) == module.MAX_POINTS
    assert history.columns("process:a")["at"] == []
    assert len(history._scopes) == 1


def test_scopes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SCOPES", 3)
    history = History()
    history.add(1, {f"process:{number}": Point() for number in range(10)})
    assert len(history._scopes) == 3


def test_a_clock_that_was_set_back_starts_anew() -> None:
    history = History()
    history.add(10_000_000, {"total": Point()})
    history.add(9_999_000, {"total": Point()})  # a little: the same second again
    assert history.columns("total")["at"] == [10_000_000]
    history.add(1_000_000, {"total": Point()})
    assert history.columns("total")["at"] == [1_000_000]


def test_every_charted_field_is_one_of_a_point() -> None:
    assert set(CHARTED) <= set(Point.__struct_fields__)


def test_a_trend_is_the_end_of_a_column() -> None:
    history = History()
    for at in range(1, 100):
        history.add(at, {"process:a": Point(out_per_s=float(at))})
    assert history.trend("process:a", "out_per_s", 3) == [97, 98, 99]
    assert history.trend("process:b", "out_per_s", 3) == []
