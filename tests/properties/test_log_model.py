"""The log's promises hold in every history that the model makes, and the model notices when a rule is broken."""

from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.append.lane import Lane
from storage.append.lanes import Lanes
from storage.append.work import Pending
from storage.model import Position
from support.log_model import World, falsify
from support.log_server import Broken, Fault


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**48), hubs=st.integers(1, 4))
def test_no_hole_no_duplicate_and_only_true_acknowledgements(seed: int, hubs: int) -> None:
    World(seed, hubs=hubs).run(steps=400)


@pytest.mark.parametrize(
    ("fault", "breaks"),
    [
        (Fault.NO_KEY_INDEX, "is there twice|at several places"),
        (Fault.UNORDERED_RUNS, "a hole|n is|changed places"),
        (Fault.LOCAL_READS, "a hole|is not there"),
        (Fault.GUESSED_OUTCOMES, "a hole|n is|was acknowledged|is not there"),
        (Fault.EARLY_NEWS, "a hole|n is|is not there"),
    ],
)
def test_a_broken_rule_is_noticed(fault: Fault, breaks: str) -> None:
    found = falsify(iter(range(500)), steps=400, faults=frozenset({fault}))
    assert found is not None
    seed, _ = found
    with pytest.raises(Broken, match=breaks):
        World(seed, faults=frozenset({fault})).run(steps=400)


def test_a_lane_that_lets_later_entries_pass_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def put_back_at_the_end(self: Lane, items: Sequence[Pending]) -> None:
        self.waiting.extend(item for item in items if not item.settled)

    monkeypatch.setattr(Lane, "put_back", put_back_at_the_end)
    found = falsify(iter(range(500)), steps=400)
    assert found is not None
    assert "changed places" in str(found[1])


def test_a_tail_that_does_not_follow_what_is_known_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def believed(self: Lanes, conversation: str, offset: int, by: str, now: float) -> bool:
        known = self.tail(conversation)
        if known is not None and offset > known.offset:
            self.learn(conversation, Position(offset, known.n + 1))
        return False

    monkeypatch.setattr(Lanes, "heard", believed)
    found = falsify(iter(range(500)), steps=400)
    assert found is not None
    assert "n is" in str(found[1])


def test_a_history_is_a_function_of_its_seed() -> None:
    def history(seed: int) -> list[tuple[str, int]]:
        world = World(seed)
        world.run(steps=300)
        return [write.place for write in world.server.oplog]

    assert history(7) == history(7)
    assert len({tuple(history(seed)) for seed, _ in zip(count(), range(20), strict=False)}) > 1
