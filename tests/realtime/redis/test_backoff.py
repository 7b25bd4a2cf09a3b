from random import Random

from hypothesis import given
from hypothesis import strategies as st

from realtime.redis.backoff import Backoff


@given(st.integers())
def test_pauses_are_random_below_a_bound_that_doubles_up_to_the_most(seed: int) -> None:
    backoff = Backoff(first_s=0.1, most_s=0.5, random=Random(seed))

    for _ in range(2):
        pauses = [backoff.next_s() for _ in range(5)]
        assert all(0 <= pause <= bound for pause, bound in zip(pauses, [0.1, 0.2, 0.4, 0.5, 0.5], strict=True))
        backoff.reset()
