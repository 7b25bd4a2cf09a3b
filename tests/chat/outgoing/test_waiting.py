"""How long a server asks to be left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from chat.outgoing.waiting import LONGEST_S, retry_after_s

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("asked", "after_s"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("999999999999999999999999", LONGEST_S),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120.0),
        ("Tue, 14 Nov 2023 22:15:20 -0000", 120.0),
        ("Tuesday, 14-Nov-23 22:15:20 GMT", 120.0),
        ("Tue, 14 Nov 2023 23:15:20 +0100", 120.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Tue, 14 Nov 2123 22:13:00 GMT", LONGEST_S),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_seconds_and_dates_are_understood_and_bounded(asked: str, after_s: float | None) -> None:
    assert retry_after_s({"Retry-After": asked}, NOW_S) == after_s


def test_the_case_of_the_name_does_not_matter_and_none_is_none() -> None:
    assert retry_after_s(CIMultiDict({"RETRY-after": "7"}), NOW_S) == 7.0
    assert retry_after_s({"retry-after": "7"}, NOW_S) == 7.0
    assert retry_after_s({}, NOW_S) is None


@given(st.text(max_size=80))
def test_whatever_is_asked_the_answer_is_within_bounds(asked: str) -> None:
    after_s = retry_after_s({"Retry-After": asked}, NOW_S)
    assert after_s is None or 0.0 <= after_s <= LONGEST_S
