"""Who is let in while a process is busy: rates, queues told honestly, and that nobody is refused for ever."""

import heapq
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from chat.admission import (
    FEWEST_CONNECTING,
    LEAST_SHARE,
    MAX_RETRY_S,
    MAX_WAIT_S,
    Admission,
    AdmissionSettings,
    Refused,
)


def admission(*, random: float = 0.0, **settings: float) -> Admission:
    return Admission(AdmissionSettings(**settings), now=0.0, random=lambda: random)  # type: ignore[arg-type]  # numbers


def test_a_burst_comes_in_at_once_the_next_ones_wait_their_turn_and_then_they_are_refused():
    gate = admission(upgrades_per_s=10, burst=5)
    asked = [gate.ask(0.0, connecting=0) for _ in range(40)]
    assert asked[:5] == [0.0] * 5
    waits = [wait for wait in asked if not isinstance(wait, Refused)]
    assert waits[5:] == sorted(waits[5:])
    assert 5 + MAX_WAIT_S * 10 - 1 <= len(waits) <= 5 + MAX_WAIT_S * 10 + 1
    assert all(isinstance(answer, Refused) and answer.reason == "upgrade_rate" for answer in asked[len(waits) :])


def test_who_is_refused_later_is_told_a_later_time():
    gate = admission(upgrades_per_s=10, burst=1)
    told = [answer.retry_after_s for _ in range(500) if isinstance(answer := gate.ask(0.0, connecting=0), Refused)]
    assert told == sorted(told)
    assert told[0] == 1
    assert told[-1] == MAX_RETRY_S
    assert told[200] >= 200 / 10


def test_the_time_to_come_again_is_spread():
    random = Random(1)
    gate = Admission(AdmissionSettings(upgrades_per_s=10, burst=1), now=0.0, random=random.random)
    told = [answer.retry_after_s for _ in range(1000) if isinstance(answer := gate.ask(0.0, connecting=0), Refused)]
    assert len(set(told[-500:])) > 10


def test_connects_in_progress_and_memory_are_bounds_of_their_own():
    gate = admission(connecting=3, memory_bytes=100)
    assert gate.ask(0.0, connecting=2, memory_bytes=100) == 0.0
    for asked, reason in (((3, 0), "connecting"), ((0, 101), "memory")):
        answer = gate.ask(0.0, connecting=asked[0], memory_bytes=asked[1])
        assert isinstance(answer, Refused)
        assert answer.reason == reason


def test_without_a_rate_everybody_comes_in():
    gate = admission(upgrades_per_s=0, burst=1)
    assert {gate.ask(0.0, connecting=0) for _ in range(1000)} == {0.0}


def test_a_late_event_loop_takes_fewer_but_never_none_and_gets_over_it():
    gate = admission(upgrades_per_s=100, burst=1, lag_s=0.1)
    for tick in range(100):
        gate.lagged(0.5, tick / 10)
    assert gate.rate == 100 * LEAST_SHARE
    gate.ask(10.0, connecting=0)
    refused = [gate.ask(10.0, connecting=0) for _ in range(10)][-1]
    assert isinstance(refused, Refused)
    assert refused.reason == "loop_lag"
    for tick in range(25):
        gate.lagged(0.0, 10 + tick / 10)
    assert gate.rate == 100


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2)), max_size=200), st.integers(1, 50), st.integers(1, 20))
def test_never_more_come_in_than_the_rate_and_the_burst_allow(steps, rate, burst):
    """Whatever the lag and the order of asking: those whose turn has come by then."""
    gate = admission(upgrades_per_s=rate, burst=burst)
    now, turns = 0.0, []
    for passed, lag in steps:
        now += passed
        gate.lagged(lag, now)
        answer = gate.ask(now, connecting=0)
        if not isinstance(answer, Refused):
            assert 0 <= answer <= MAX_WAIT_S
            turns.append(now + answer)
        else:
            assert 1 <= answer.retry_after_s <= 1.5 * MAX_RETRY_S + 1
    for moment in turns:
        # One more, for the token that was due in the moment of asking; the wait was told at the rate of that time.
        assert sum(turn <= moment for turn in turns) <= burst + rate * (moment + MAX_WAIT_S) + 1


def _storm(clients: int, rate: int, *, seed: int, honour: bool) -> list[float]:
    """When each of so many clients gets in, in seconds, if all come at once and again as SDKs do: full jitter up to
    twenty seconds, or when they are told.
    """
    random = Random(seed)
    gate = Admission(AdmissionSettings(upgrades_per_s=rate, burst=rate // 2), now=0.0, random=random.random)
    coming = [(random.random() / 2, client, 0) for client in range(clients)]
    heapq.heapify(coming)
    inside: list[float] = []
    while coming:
        now, client, attempt = heapq.heappop(coming)
        assert now < 600, f"{len(coming) + 1} never got in"
        answer = gate.ask(now, connecting=0)
        if isinstance(answer, Refused):
            backoff = min(20.0, 0.5 + random.random() * min(20.0, 0.5 * 2**attempt))
            again = now + (answer.retry_after_s if honour else backoff)
            heapq.heappush(coming, (again, client, attempt + 1))
        else:
            inside.append(now + answer)
    return sorted(inside)


@given(st.integers(1, 3000), st.integers(20, 500), st.integers(0, 1000), st.booleans())
def test_nobody_starves(clients, rate, seed, honour):
    inside = _storm(clients, rate, seed=seed, honour=honour)
    assert len(inside) == clients
    # The work itself, and for the last one twice the longest time that it may stay away.
    assert inside[-1] <= clients / rate + 2 * 1.5 * MAX_RETRY_S


def test_a_storm_of_fifteen_thousand_is_through_about_as_fast_as_the_rate_allows():
    inside = _storm(15_000, 500, seed=7, honour=False)
    assert inside[len(inside) * 9 // 10] < 40
    assert inside[-1] < 70


def test_while_connects_are_slow_fewer_are_taken_and_fewer_at_a_time():
    gate = admission(upgrades_per_s=100, burst=1, connecting=200)
    assert gate.most_connecting == 200
    for tick in range(100):
        gate.lagged(0.0, tick / 10, connect_s=2.0)
    assert gate.rate == 100 * LEAST_SHARE
    assert gate.most_connecting == FEWEST_CONNECTING
    answer = gate.ask(10.0, connecting=FEWEST_CONNECTING)
    assert isinstance(answer, Refused)
    assert answer.reason == "connecting"
    for tick in range(25):
        gate.lagged(0.0, 10 + tick / 10, connect_s=0.5)
    assert gate.most_connecting == 200
