"""What is remembered of others' changes is believed for as long as it could be told, and no longer."""

from chat.usecases.freshness import Freshness


class Link:
    def __init__(self) -> None:
        self.now, self.alive, self.gaps = 100.0, True, 0

    def freshness(self) -> Freshness:
        return Freshness(lambda: self.now, alive=lambda: self.alive, gaps=lambda: self.gaps, usual_s=15, apart_s=2)


def test_it_holds_longer_while_changes_are_told() -> None:
    link = Link()
    freshness = link.freshness()
    assert freshness.holds(link.now - 15)
    assert not freshness.holds(link.now - 15.1)
    link.alive = False
    assert freshness.holds(link.now - 2)
    assert not freshness.holds(link.now - 2.1)


def test_nothing_holds_from_before_a_gap() -> None:
    link = Link()
    freshness = link.freshness()
    assert freshness.holds(link.now - 1)
    link.gaps += 1
    assert not freshness.holds(link.now - 1)
    link.now += 1
    assert not freshness.holds(link.now - 1.5)
    assert freshness.holds(link.now - 0.5)
