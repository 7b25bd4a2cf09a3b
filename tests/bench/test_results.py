"""What the suite of benchmarks makes of the values of its rounds."""

import pytest

from bench.results import Measured, Outcome, Series, Spread, number, percentile, read, rows, table, write


def measured(name, series, **more):
    usual = {
        "unit": "ms",
        "better": "lower",
        "baseline": "",
        "goal": None,
        "goal_ratio": None,
        "goal_at": None,
        "chart": "ms",
    }
    return Measured(name=name, series=[Series(at, values) for at, values in series.items()], **{**usual, **more})


def outcome(*figures, **more):
    usual = {
        "scenario": "pages",
        "title": "Pages",
        "about": "About <pages> & more.",
        "sizes": "messages",
        "options": {"calls": 3},
        "notes": {},
        "at": 1_800_000_000.0,
        "took_s": 3.0,
        "machine": {"load_before": [1, 1, 1], "load_after": [2, 1, 1], "revision": "abc", "versions": {}},
    }
    return Outcome(figures=list(figures), **{**usual, **more})


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_moment_hits_both():
    found = rows(outcome(measured("page", {10: [2, 40, 4]}, baseline="find"), measured("find", {10: [1, 20, 2]})))
    assert found[0].ratio == Spread(2, 2, 2)
    assert found[0].value == Spread(4, 2, 40)
    assert found[1].ratio is None


def test_a_baseline_without_sizes_is_beside_every_size():
    found = rows(outcome(measured("page", {1: [2], 10: [4]}, baseline="find"), measured("find", {None: [2]})))
    assert [row.ratio.median for row in found[:2]] == [1, 2]


@pytest.mark.parametrize(
    ("better", "goal", "goal_ratio", "held"),
    [
        ("lower", 4, None, True),
        ("lower", 3, None, False),
        ("higher", 4, None, True),
        ("higher", 5, None, False),
        ("lower", 4, 1.9, False),
        ("lower", None, 2, True),
        ("lower", None, None, None),
    ],
)
def test_a_goal_is_held_by_the_median_and_by_the_ratio(better, goal, goal_ratio, held):
    page = measured("page", {None: [2, 4, 6]}, baseline="find", better=better, goal=goal, goal_ratio=goal_ratio)
    assert rows(outcome(page, measured("find", {None: [1, 2, 3]})))[0].held is held


def test_a_goal_at_one_size_says_nothing_of_the_others():
    found = rows(outcome(measured("page", {10: [9], 1000: [2]}, goal=3, goal_at=1000)))
    assert [row.held for row in found] == [None, True]


def test_a_percentile_is_a_value_that_was_measured():
    assert [percentile(range(1, 101), share) for share in (0, 0.5, 0.99, 1)] == [1, 51, 100, 100]
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_numbers_have_three_digits_that_mean_something():
    assert [number(value) for value in (0, 0.01234, 1.234, 12.34, 1234.5)] == ["0", "0.012", "1.23", "12.3", "1,234"]


def test_what_was_written_is_read_as_it_was(tmp_path):
    before = outcome(measured("page", {None: [1.5], 10: [2.5]}))
    assert read(write(before, tmp_path)) == before
    assert "page" in table(before)
