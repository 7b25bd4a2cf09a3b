"""The log withstands a short attempt to break it on a real MongoDB; each broken variant does not."""

from itertools import count

import pytest

from support.falsify import Broken, Fault, falsify


async def test_no_promise_breaks_under_kills_zombies_stalls_and_lost_gossip(mongodb_url: str) -> None:
    report = await falsify(mongodb_url, seed=1, seconds=6)
    assert report.acknowledged > 100
    assert report.entries >= report.acknowledged - report.duplicates
    for hardship in (report.hubs_killed, report.outcomes_lost, report.stalls, report.repeats, report.gossip_lost):
        assert hardship > 0


@pytest.mark.parametrize(
    ("fault", "breaks"),
    [
        (Fault.NO_KEY_INDEX, "is at .* and at"),
        (Fault.UNORDERED_RUNS, "a hole|n is|changed places"),
        (Fault.GUESSED_OUTCOMES, "a hole|n is|was acknowledged at|changed places"),
    ],
)
async def test_a_variant_that_lacks_one_rule_is_found_out(mongodb_url: str, fault: Fault, breaks: str) -> None:
    with pytest.raises(Broken, match=breaks):
        await try_seeds(mongodb_url, fault)


async def try_seeds(url: str, fault: Fault) -> None:
    """As many as the test's time limit allows."""
    for seed in count(1):
        await falsify(url, seed=seed, seconds=4, faults=frozenset({fault}))
