"""What a session is owed when it comes back, and what is next."""

import pytest

from realtime.protocol.recovery import (
    DELIVER,
    DUPLICATE,
    GAP,
    Cursor,
    Decision,
    Fresh,
    Position,
    Recovered,
    Unrecoverable,
    decide,
)


def decided(asked: Position | None, *, head: int = 10, oldest: int | None = 1, max_entries: int = 1000) -> Decision:
    return decide(asked, epoch="e1", head=head, oldest=oldest, max_entries=max_entries)


def test_without_a_position_a_session_starts_at_the_head() -> None:
    assert decided(None) == Fresh(10)


def test_a_session_that_has_everything_is_recovered_with_nothing_owed() -> None:
    assert decided(Position("e1", 10)) == Recovered(10, 10)
    assert decided(Position("e1", 0), head=0, oldest=None) == Recovered(0, 0)


def test_a_session_behind_is_owed_exactly_what_it_missed() -> None:
    assert decided(Position("e1", 7)) == Recovered(7, 10)
    assert decided(Position("e1", 0)) == Recovered(0, 10)


def test_another_epoch_is_unrecoverable_also_at_the_same_offset() -> None:
    assert decided(Position("e0", 10)) == Unrecoverable(10)
    assert decided(Position("_", 10)) == Unrecoverable(10)


def test_an_empty_epoch_matches_any() -> None:
    assert decided(Position("", 7)) == Recovered(7, 10)


def test_a_position_ahead_of_the_head_is_unrecoverable() -> None:
    assert decided(Position("e1", 11)) == Unrecoverable(10)


def test_a_position_below_zero_is_unrecoverable() -> None:
    assert decided(Position("e1", -1)) == Unrecoverable(10)


def test_more_than_the_most_entries_are_all_or_nothing() -> None:
    assert decided(Position("e1", 5), max_entries=5) == Recovered(5, 10)
    assert decided(Position("e1", 4), max_entries=5) == Unrecoverable(10)


@pytest.mark.parametrize(
    ("oldest", "expected"), [(8, Recovered(7, 10)), (9, Unrecoverable(10)), (None, Unrecoverable(10))]
)
def test_what_was_missed_must_still_be_there(oldest: int | None, expected: Decision) -> None:
    assert decided(Position("e1", 7), oldest=oldest) == expected


def test_a_session_at_the_head_needs_nothing_to_be_left() -> None:
    assert decided(Position("e1", 10), oldest=None) == Recovered(10, 10)


def test_a_cursor_delivers_the_next_offset_only() -> None:
    cursor = Cursor(10)
    assert cursor.next == 11
    assert cursor.advance(12) is GAP
    assert cursor.advance(11) is DELIVER
    assert cursor.advance(11) is DUPLICATE
    assert cursor.advance(3) is DUPLICATE
    assert cursor.advance(12) is DELIVER
    assert cursor.next == 13


def test_a_cursor_skips_forward_and_never_back() -> None:
    cursor = Cursor(10)
    cursor.skip_to(15)
    assert cursor.next == 16
    cursor.skip_to(12)
    assert cursor.next == 16
