"""The timer wheel against a list of deadlines."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from realtime.wheel import Wheel


@dataclass(eq=False)
class Item:
    name: str = ""
    wheel_tick: int = 0


def handed_out(wheel: Wheel[Item], now: float) -> list[str]:
    return [item.name for item in wheel.advance(now)]


def test_an_item_is_handed_out_when_it_is_due_and_not_before():
    wheel: Wheel[Item] = Wheel(now=100.0, resolution_s=0.5)
    wheel.schedule(Item("a"), 103.2)
    assert handed_out(wheel, 103.1) == []
    assert handed_out(wheel, 103.7) == ["a"]
    assert handed_out(wheel, 200.0) == []


def test_what_is_overdue_comes_with_the_next_turn():
    wheel: Wheel[Item] = Wheel(now=100.0, resolution_s=0.5)
    wheel.schedule(Item("late"), 3.0)
    assert handed_out(wheel, 100.5) == ["late"]


def test_scheduling_again_and_again_keeps_one_reference():
    """Every refresh of a token schedules; what that leaves behind must not pile up."""
    wheel: Wheel[Item] = Wheel(now=0.0, resolution_s=0.5)
    item = Item("a")
    now = 0.0
    for _ in range(1000):
        wheel.schedule(item, now + 25)
        wheel.schedule(item, now + 1)
        now += 0.5
        for each in wheel.advance(now):
            wheel.schedule(each, now + 25)
    assert len(wheel) < 60


def test_moved_forward_an_item_is_handed_out_at_the_earlier_time_only_once():
    wheel: Wheel[Item] = Wheel(now=0.0, resolution_s=0.5)
    item = Item("a")
    wheel.schedule(item, 20)
    wheel.schedule(item, 2)
    assert handed_out(wheel, 3) == ["a"]
    assert handed_out(wheel, 30) == []


def test_an_item_beyond_the_wheel_is_seen_early():
    wheel: Wheel[Item] = Wheel(now=0.0, resolution_s=0.5, slots=8)
    wheel.schedule(Item("far"), 3600)
    assert handed_out(wheel, 4.0) == ["far"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("schedule"), st.integers(0, 4), st.floats(0, 30)),
            st.tuples(st.just("advance"), st.just(0), st.floats(0, 10)),
        ),
        max_size=60,
    )
)
def test_no_deadline_is_missed_and_none_is_early(steps):
    """Whoever is handed an item before its deadline puts it back, as sessions do; so nothing is ever more than a
    resolution late.
    """
    resolution_s = 0.5
    wheel: Wheel[Item] = Wheel(now=0.0, resolution_s=resolution_s, slots=16)
    items = [Item(str(number)) for number in range(5)]
    due: dict[str, float] = {}
    now = 0.0
    for step, number, seconds in steps:
        if step == "schedule":
            item = items[number]
            due[item.name] = min(due.get(item.name, now + seconds), now + seconds)
            wheel.schedule(item, now + seconds)
            continue
        now += seconds
        for item in wheel.advance(now):
            at = due.get(item.name)
            assert at is not None, "handed out twice"
            if at > now:
                wheel.schedule(item, at)
            else:
                del due[item.name]
        assert all(at + resolution_s > now for at in due.values())
