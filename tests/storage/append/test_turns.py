"""Who of several processes that write to one conversation goes next, by what each of them hears."""

from storage.append.turns import COMMITS_PER_TURN, FIRST_TURN_S, LONGEST_TURN_S, RECENT_TURNS, Turns

A = "a" * 26


def ring(own: str, *writers: str, at: float = 0.0) -> Turns:
    """A process that has heard these write, one after the other, the last one at `at`."""
    turns = Turns(own)
    for writer in writers:
        turns.heard(A, writer, at)
    return turns


def test_who_is_alone_waits_for_nobody() -> None:
    turns = Turns("one")
    turns.committed(A)
    turns.settle(1.0)
    assert not turns.shared(A)
    assert turns.begins_at(A, 1.0) == 1.0


def test_the_next_one_in_the_ring_goes_at_once_and_the_others_a_turn_later_each() -> None:
    names = ["four", "one", "three", "two"]
    waits = {own: ring(own, *(name for name in names if name != own), "four").begins_at(A, 0.0) for own in names[1:]}
    assert waits == {"one": 0.0, "three": FIRST_TURN_S, "two": 2 * FIRST_TURN_S}


def test_after_its_own_turn_a_process_lets_all_others_go_first() -> None:
    turns = ring("one", "three", "two")
    turns.committed(A)
    turns.settle(0.0)
    assert turns.begins_at(A, 0.0) == 2 * FIRST_TURN_S


def test_who_is_silent_is_passed_over_and_forgotten() -> None:
    turns = ring("one", "two")
    turns.committed(A)
    turns.settle(0.0)
    assert turns.begins_at(A, FIRST_TURN_S) <= FIRST_TURN_S
    later = RECENT_TURNS * 2 * FIRST_TURN_S + 0.001
    turns.committed(A)
    turns.settle(later)
    assert turns.begins_at(A, later) == later
    assert not turns.shared(A)


def test_a_turn_is_as_long_as_some_commits_lately_and_bounded() -> None:
    turns = Turns("one")
    for _ in range(100):
        turns.took(0.01)
    assert abs(turns.turn_s - COMMITS_PER_TURN * 0.01) < 0.001
    for _ in range(100):
        turns.took(5.0)
    assert turns.turn_s <= LONGEST_TURN_S
