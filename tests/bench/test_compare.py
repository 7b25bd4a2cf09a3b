"""Whether two revisions differ by more than chance."""

import random

import pytest

from bench.compare import Verdict, verdict, word
from bench.results import Measured


def figure(better):
    return Measured("page", "ms", better, "", None, None, None, "ms", [])


def test_the_interval_leaves_out_as_many_at_the_ends_as_chance_allows():
    assert verdict([1, 2, 3, 4, 5, 6]) == Verdict(3.5, 1, 6, 6)
    assert verdict(range(1, 10)) == Verdict(5, 2, 8, 9)
    assert verdict(range(1, 21)) == Verdict(10.5, 6, 15, 20)


def test_a_difference_is_told_where_one_is_outside():
    assert word(figure("lower"), verdict([0.9] * 7)) == "better"
    assert word(figure("higher"), verdict([0.9] * 7)) == "worse"
    assert word(figure(""), verdict([1.1] * 7)) == "more"
    assert word(figure("lower"), verdict([0.9] * 6 + [1.1])) == "no difference beyond chance"


def test_few_pairs_tell_nothing_however_alike_they_are():
    assert word(figure("lower"), verdict([0.5] * 5)).startswith("too few")
    with pytest.raises(ValueError, match="nothing"):
        verdict([])


def test_by_chance_alone_a_difference_is_seen_one_time_in_twenty_at_most():
    chance = random.Random(7)
    seen = sum(verdict([chance.lognormvariate(0, 0.5) for _ in range(9)]).differs for _ in range(2000))
    assert 0.02 < seen / 2000 < 0.06
