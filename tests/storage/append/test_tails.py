"""What is known of logs' ends is forgotten in time: below what retention removed, places would look free."""

from storage.append.tails import TAIL_AGE_S, Tails
from storage.model import Position


def test_a_position_is_forgotten_at_its_age_and_not_before() -> None:
    tails = Tails(10)
    tails.age(0.0)
    tails.advance("a", Position(5, 5))
    tails.age(TAIL_AGE_S / 2)
    assert tails.get("a") == Position(5, 5)
    tails.age(TAIL_AGE_S)
    assert tails.get("a") is None


def test_what_is_learned_again_stays_and_what_is_older_news_does_not_count() -> None:
    tails = Tails(10)
    tails.age(0.0)
    tails.advance("a", Position(5, 5))
    tails.advance("b", Position(5, 5))
    tails.age(TAIL_AGE_S / 2)
    tails.advance("a", Position(5, 5))
    tails.advance("b", Position(4, 4))
    tails.age(TAIL_AGE_S)
    assert (tails.get("a"), tails.get("b")) == (Position(5, 5), None)


def test_after_a_long_silence_nothing_is_known() -> None:
    tails = Tails(10)
    tails.age(0.0)
    tails.advance("a", Position(5, 5))
    tails.age(10 * TAIL_AGE_S)
    assert tails.get("a") is None


def test_what_the_bound_dropped_is_not_remembered_as_stale() -> None:
    tails = Tails(1)
    tails.age(0.0)
    tails.advance("a", Position(1, 1))
    tails.age(TAIL_AGE_S / 2)
    tails.advance("b", Position(1, 1))
    tails.advance("a", Position(2, 2))
    tails.age(TAIL_AGE_S)
    assert tails.get("a") == Position(2, 2)
