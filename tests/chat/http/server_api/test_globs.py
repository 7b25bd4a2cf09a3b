"""Glob patterns of channel names."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.http.server_api.globs import MAX_ALTERNATIVES, BadPattern, literal_prefix, matcher


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("", ["anything"], []),
        ("*", ["anything", ""], []),
        ("news:*", ["news:today", "news:"], ["xnews:today", "new"]),
        ("chat:**", ["chat:a:b"], ["chats"]),
        ("a?c", ["abc"], ["ac", "abbc"]),
        ("[ab]1", ["a1", "b1"], ["c1"]),
        ("[!ab]1", ["c1"], ["a1"]),
        ("{news,chat}:*", ["news:1", "chat:2"], ["mail:1"]),
        ("{a,b{c,d}}", ["a", "bc", "bd"], ["b", "ab"]),
        (r"a\*c", ["a*c"], ["abc"]),
        ("a.c", ["a.c"], ["abc"]),
        ("#anna", ["#anna"], ["anna"]),
        ("(a|b)+", ["(a|b)+"], ["a"]),
        ("[", ["["], ["a"]),
    ],
)
def test_patterns(pattern, matching, other):
    matches = matcher(pattern)
    assert all(matches(name) for name in matching)
    assert not any(matches(name) for name in other)


def test_too_many_alternatives_are_refused():
    with pytest.raises(BadPattern):
        matcher("{a,b}" * 10)
    with pytest.raises(BadPattern):
        matcher("{" + "," * MAX_ALTERNATIVES + "}")


def test_many_stars_take_no_time():
    matches = matcher("*a" * 100 + "b")
    started = time.perf_counter()
    assert not matches("a" * 255)
    assert time.perf_counter() - started < 0.5


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_pattern_is_a_pattern_or_refused_and_its_prefix_holds(pattern, name):
    try:
        matches = matcher(pattern)
    except BadPattern:
        return
    if matches(name):
        assert name.startswith(literal_prefix(pattern))
