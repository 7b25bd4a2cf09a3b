"""The checker finds each way to break a promise, tells it from the others, and has nothing against what is right."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.broken_stories import VIOLATIONS
from chaos.checker import OVERTAKEN, check
from chaos.handmade import LOG, Story, good, joined, left, message, random_story
from chaos.history import MESSAGE, Event, History, Item, Page, Received, Send, Whole, read
from chaos.verdict import Verdict


def verdict_of(story: Story) -> Verdict:
    return check(story.events)


def kinds(story: Story) -> set[tuple[str, str]]:
    return set(verdict_of(story).kinds)


def test_a_good_history_holds_and_is_counted() -> None:
    verdict = verdict_of(good().end(LOG, "ann", "bob"))
    assert verdict.holds, verdict.violations
    counts = verdict.counts
    assert (counts.attempted, counts.acked, counts.unknown, counts.delivered) == (3, 3, 0, 6)
    assert counts.lost == counts.duplicated == counts.out_of_order == counts.wire_duplicates == 0


def test_an_unknown_outcome_may_be_there_or_not() -> None:
    for log, recovered in ((LOG, 0), ((*LOG, message(5, "ann", "k4")), 1)):
        story = good()
        story.invoke("ann", "k4")
        story.answer("info", "ann", "k4", why="disconnected")
        verdict = verdict_of(story.end(log))
        assert verdict.holds, verdict.violations
        assert (verdict.counts.unknown, verdict.counts.recovered) == (1, recovered)


def test_a_wire_duplicate_is_counted_and_no_violation() -> None:
    story = good()
    story.told("bob", 4, "ann", "k3")
    verdict = verdict_of(story.end(LOG, "ann", "bob"))
    assert verdict.holds
    assert verdict.counts.wire_duplicates == 1


def test_a_gap_that_was_paged_is_no_violation() -> None:
    story = good()
    story.device("cid", at=1)
    story.subscribed("cid", 4, was_recovering=True)
    story.page("cid", LOG[1:], fills=True)
    verdict = verdict_of(story.end(LOG, "cid"))
    assert verdict.holds, verdict.violations
    assert verdict.counts.gaps == 1


def test_what_landed_after_it_was_read_need_not_be_there() -> None:
    assert not kinds(good().end(LOG).end(LOG[1:3], source="rest by h2", acked=3))


def test_the_key_of_a_deleted_message_may_be_gone() -> None:
    log = (*LOG[:2], message(3, "bob", ""), *LOG[3:])
    assert not kinds(good().end(log, "ann", "bob"))


def test_after_being_let_in_again_a_member_starts_at_the_new_place() -> None:
    story = good()
    story.device("cid", roams=True, at=None)
    log = (*LOG, joined(5, "cid"), left(6, "cid"), message(7, "ann", "k4"), joined(8, "cid"), message(9, "ann", "k5"))
    story.subscribed("cid", 4)
    story.told("cid", 5, "ann", "", kind="member.joined")
    story.unsubscribed("cid")
    story.send("ann", "k4", 7)
    story.subscribed("cid", 7)
    story.told("cid", 8, "ann", "", kind="member.joined")
    story.send("ann", "k5", 9)
    story.told("cid", 9, "ann", "k5")
    assert not kinds(story.end(log, "cid"))


@pytest.mark.parametrize(("story", "invariant", "what"), VIOLATIONS, ids=lambda one: getattr(one, "__name__", None))
def test_a_violation_is_found_and_told_apart(story: Callable[[], Story], invariant: str, what: str) -> None:
    verdict = verdict_of(story())
    assert set(verdict.kinds) == {(invariant, what)}, verdict.violations
    assert verdict.broken == [invariant]


def test_nobody_is_answered_by_a_hub_that_cannot_speak() -> None:
    story = good()
    story.invoke("ann", "k4")
    story.happened("frozen")
    story.wait(7)
    story.answer("info", "ann", "k4", why="timeout")
    story.happened("thawed")
    assert not kinds(story.end(LOG))


def test_time_without_a_processor_is_not_counted_against_a_hub() -> None:
    for waited_s, expected in ((4.0, set[tuple[str, str]]()), (0.5, {("I7", "stuck")})):
        story = good()
        story.invoke("ann", "k4")
        story.waited("h1", 0.0)
        story.wait(7)
        story.answer("ok", "ann", "k4", 5)
        story.waited("h1", waited_s)
        assert kinds(story.end((*LOG, message(5, "ann", "k4")))) == expected


def test_whom_others_overtook_did_not_wait_for_a_processor() -> None:
    story = good()
    story.invoke("ann", "k4")
    story.waited("h1", 0.0)
    for number in range(OVERTAKEN):
        story.send("bob", f"b{number}", 5 + number)
    story.wait(7)
    story.answer("info", "ann", "k4", why="timeout")
    story.waited("h1", 6.0)
    log = (*LOG, *(message(5 + number, "bob", f"b{number}") for number in range(OVERTAKEN)))
    assert kinds(story.end(log)) == {("I7", "stuck")}


def test_a_client_that_lost_its_connection_knows_at_once() -> None:
    story = good()
    story.invoke("ann", "k4")
    story.wait(6)
    story.answer("info", "ann", "k4", why="disconnected")
    assert not kinds(story.end(LOG))


def test_who_was_just_removed_may_be_told_a_moment_longer() -> None:
    story = good()
    story.member("invoke", "bob", came=False)
    story.member("ok", "bob", came=False)
    story.send("ann", "k4", 6)
    story.told("bob", 5, "ann", "", kind="member.left")
    story.told("bob", 6, "ann", "k4")
    verdict = verdict_of(story.end((*LOG, left(5, "bob"), message(6, "ann", "k4"))))
    assert verdict.holds, verdict.violations
    assert verdict.counts.late_removals == 1


def test_a_page_for_whoever_was_removed_a_moment_ago_is_no_leak() -> None:
    story = good()
    story.member("invoke", "bob", came=False)
    story.page("bob", LOG[1:])
    story.member("ok", "bob", came=False)
    assert not kinds(story.end((*LOG, left(5, "bob"))))
    story.page("bob", LOG[1:])
    verdict = verdict_of(story)
    assert verdict.holds
    assert verdict.counts.late_removals == 1
    story.wait(3)
    story.page("bob", LOG[1:])
    assert kinds(story) == {("I6", "page leaked")}


def test_a_history_survives_being_written_and_read(tmp_path: Path) -> None:
    story = good().end(LOG, "ann", "bob")
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        for event in story.events:
            history.add(event)
    assert list(read(path)) == story.events


# --- properties ---

seeds = st.integers(0, 1 << 32).map(Random)


@given(seeds)
def test_a_correct_random_execution_holds(random: Random) -> None:
    verdict = verdict_of(random_story(random))
    assert verdict.holds, verdict.violations


def _messages(events: list[Event]) -> list[Item]:
    log = next(one for one in events if isinstance(one, Whole) and one.source == "log")
    return [item for item in log.items if item.kind == MESSAGE]


def _told(events: list[Event]) -> list[int]:
    return [at for at, one in enumerate(events) if isinstance(one, Received) and one.kind == MESSAGE]


def _acks(events: list[Event]) -> list[int]:
    return [at for at, one in enumerate(events) if isinstance(one, Send) and one.type == "ok"]


def _drop_from_log(events: list[Event], random: Random) -> str:
    """The last message, so that there is no hole; only if it was acknowledged."""
    last = _messages(events)[-1]
    acked = {(one.user, one.key) for at in _acks(events) if isinstance(one := events[at], Send)}
    if (last.sender, last.key) not in acked:
        return ""
    for at, one in enumerate(events):
        if isinstance(one, Whole):
            events[at] = msgspec.structs.replace(one, items=tuple(item for item in one.items if item != last))
    return "I1"


def _tell_another(events: list[Event], random: Random) -> str:
    at = random.choice(_told(events))
    events[at] = msgspec.structs.replace(events[at], key="another")
    return "I5"


def _leave_out(events: list[Event], random: Random) -> str:
    at = random.choice(_told(events))
    dropped = events.pop(at)
    assert isinstance(dropped, Received)
    same = [one for one in events if isinstance(one, Received) and one.device == dropped.device]
    # Told twice or paged, or the last of all: then it is the end that shows it.
    pages = [one for one in events if isinstance(one, Page) and one.fills and one.device == dropped.device]
    paged = {item.offset for page in pages for item in page.items}
    if dropped.offset in paged or any(one.offset == dropped.offset for one in same):
        return ""
    # What comes next shows it, or what was told to be paged does not have it.
    return "I1 I3" if any(one.offset > dropped.offset for one in same) else "I1"


def _acknowledge_elsewhere(events: list[Event], random: Random) -> str:
    at = random.choice(_acks(events))
    ok = events[at]
    assert isinstance(ok, Send)
    events[at] = msgspec.structs.replace(ok, id="c.1", offset=1)
    return "I5"


def _invent(events: list[Event], random: Random) -> str:
    for at, one in enumerate(events):
        if isinstance(one, Whole):
            invented = message(max(item.offset for item in one.items) + 1, "ann", "invented")
            events[at] = msgspec.structs.replace(one, items=(*one.items, invented))
    return "I4"


def _leak(events: list[Event], random: Random) -> str:
    at = random.choice(_told(events))
    told = events[at]
    assert isinstance(told, Received)
    events.insert(at, msgspec.structs.replace(told, device="eve", user="eve"))
    return "I6"


def _forget_to_answer(events: list[Event], random: Random) -> str:
    outcomes = [at for at, one in enumerate(events) if isinstance(one, Send) and one.type in ("ok", "info")]
    del events[random.choice(outcomes)]
    return "I7"


@pytest.mark.parametrize(
    "plant",
    [_drop_from_log, _tell_another, _leave_out, _acknowledge_elsewhere, _invent, _leak, _forget_to_answer],
    ids=lambda plant: plant.__name__,
)
@given(random=seeds)
def test_whatever_is_planted_into_a_correct_execution_is_found(
    plant: Callable[[list[Event], Random], str], random: Random
) -> None:
    events = random_story(random).events
    if not _messages(events) or not _told(events) or not _acks(events):
        return
    if any_of := plant(events, random).split():
        assert set(any_of) & set(check(events).broken)
