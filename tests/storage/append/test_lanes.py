"""The machine's choices, one at a time: what shares a command, what waits, what is given up."""

from collections.abc import Sequence

import pytest

from storage.append.lanes import Lanes
from storage.append.schedule import LaneSettings
from storage.append.tails import Tails
from storage.append.work import CatchUp, Found, Insert, InsertOutcome, Lookup, Pending, ReadHeads, Transact
from storage.errors import Overloaded, PreconditionFailed, Unavailable
from storage.model import Appended, AppendOutcome, Entry, Position
from support.entries import message

A, B, C = "a" * 26, "b" * 26, "c" * 26


class Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.committed_offsets: list[int] = []
        self.examined_offsets: list[int] = []
        self.skipped_upto: list[tuple[str, int]] = []

    def committed(self, run: Sequence[Appended]) -> None:
        self.committed_offsets += [one.entry.offset for one in run]

    def examined(self, conversation: str, entries: Sequence[Entry]) -> None:
        self.examined_offsets += [one.offset for one in entries]

    def skipped(self, conversation: str, upto: int) -> None:
        self.skipped_upto.append((conversation, upto))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def lanes(told: Told) -> Lanes:
    lanes = Lanes(told, LaneSettings(queued=20))
    for conversation in (A, B, C):
        lanes.learn(conversation, Position(10, 10))
    return lanes


def pending(
    conversation: str = A,
    *,
    by: str = "ada",
    key: str | None = None,
    at_s: float = 0.0,
    size_bytes: int = 100,
    alone: bool = False,
) -> tuple[Pending, list[AppendOutcome]]:
    answers: list[AppendOutcome] = []
    new = message(conversation, by=by, key=key)
    identity = (conversation, by, new.key)
    return Pending(new, identity, size_bytes, at_s + 4.0, None, [answers.append], alone=alone), answers


def add(lanes: Lanes, conversation: str, count: int = 1, *, by: str = "ada") -> list[list[AppendOutcome]]:
    answers = []
    for _ in range(count):
        item, answer = pending(conversation, by=by)
        lanes.add(item)
        answers.append(answer)
    return answers


def next_insert(lanes: Lanes) -> Insert:
    work = lanes.next_work(0.0)
    assert isinstance(work, Insert)
    return work


def shape(insert: Insert) -> dict[str, int]:
    return {run.conversation: len(run.items) for run in insert.runs}


def test_conversations_with_one_waiting_entry_share_an_unordered_command(lanes: Lanes) -> None:
    for conversation in (A, B, C):
        add(lanes, conversation)
    insert = next_insert(lanes)
    assert shape(insert) == {A: 1, B: 1, C: 1}
    assert not insert.ordered
    assert lanes.next_work(0.0) is None


def test_a_conversation_with_many_has_an_ordered_command_of_its_own(lanes: Lanes) -> None:
    add(lanes, A, 5)
    add(lanes, B)
    first, second = next_insert(lanes), next_insert(lanes)
    assert shape(first) == {A: 5}
    assert first.ordered
    assert [entry.offset for entry in first.runs[0].entries] == [11, 12, 13, 14, 15]
    assert shape(second) == {B: 1}


def test_the_larger_command_is_chosen(lanes: Lanes) -> None:
    for conversation in (A, B, C):
        add(lanes, conversation, 3)
    assert shape(next_insert(lanes)) == {A: 1, B: 1, C: 1}
    add(lanes, A, 2)
    add(lanes, "d" * 26, 9)
    lanes.learn("d" * 26, Position(0, 0))
    assert shape(next_insert(lanes)) == {"d" * 26: 9}


def test_a_few_of_one_conversation_travel_one_by_one_with_others(lanes: Lanes) -> None:
    add(lanes, A, 2)
    add(lanes, B)
    assert shape(next_insert(lanes)) == {A: 1, B: 1}


def test_a_few_of_the_only_conversation_go_together(lanes: Lanes) -> None:
    add(lanes, A, 2)
    assert shape(next_insert(lanes)) == {A: 2}


def test_a_conversation_has_one_command_under_way(lanes: Lanes) -> None:
    add(lanes, A)
    insert = next_insert(lanes)
    add(lanes, A)
    assert lanes.next_work(0.0) is None
    lanes.inserted(insert, [InsertOutcome.INSERTED])
    assert shape(next_insert(lanes)) == {A: 1}


def test_no_more_commands_are_under_way_than_set(lanes: Lanes) -> None:
    for conversation in (A, B, C):
        add(lanes, conversation, 4)
    inserts = [next_insert(lanes), next_insert(lanes)]
    assert lanes.next_work(0.0) is None
    lanes.inserted(inserts[0], [InsertOutcome.INSERTED] * 4)
    assert shape(next_insert(lanes)) == {C: 4}


def test_commands_are_bounded_in_bytes_but_take_one_entry_at_least(told: Told) -> None:
    lanes = Lanes(told, LaneSettings(batch_bytes=1000))
    for conversation in (A, B, C):
        lanes.learn(conversation, Position(0, 0))
        lanes.add(pending(conversation, size_bytes=600)[0])
    assert shape(next_insert(lanes)) == {A: 1}
    assert shape(next_insert(lanes)) == {B: 1}


def test_a_change_goes_alone_and_splits_the_run_around_it(lanes: Lanes) -> None:
    add(lanes, A, 3)
    lanes.add(pending(A, alone=True)[0])
    add(lanes, A, 3)
    insert = next_insert(lanes)
    assert shape(insert) == {A: 3}
    lanes.inserted(insert, [InsertOutcome.INSERTED] * 3)
    transact = lanes.next_work(0.0)
    assert isinstance(transact, Transact)
    assert transact.run.entries[0].offset == 14
    lanes.transacted(transact, transact.run.entries[0])
    assert [entry.offset for entry in next_insert(lanes).runs[0].entries] == [15, 16, 17]


def test_conversations_that_are_not_known_are_asked_about_together(told: Told) -> None:
    lanes = Lanes(told)
    for conversation in (A, B):
        add(lanes, conversation)
    work = lanes.next_work(0.0)
    assert work == ReadHeads((A, B))
    assert isinstance(work, ReadHeads)
    lanes.heads_read(work, {A: Position(7, 5), B: Position(0, 0)})
    assert told.skipped_upto == [(A, 7)]
    assert [entry.position for run in next_insert(lanes).runs for entry in run.entries] == [
        Position(8, 6),
        Position(1, 1),
    ]


def test_after_a_lost_race_the_log_is_read_before_the_next_attempt(lanes: Lanes, told: Told) -> None:
    add(lanes, A)
    insert = next_insert(lanes)
    lanes.inserted(insert, [InsertOutcome.TAKEN])
    work = lanes.next_work(0.0)
    assert work == CatchUp(A, 10)
    assert isinstance(work, CatchUp)
    new = message(A, by="bob")
    lanes.caught_up(work, [found(new.by, 11, "foreign")], complete=True, now=0.0)
    assert told.examined_offsets == [11]
    assert next_insert(lanes).runs[0].entries[0].offset == 12


def test_the_place_is_asked_for_again_if_who_took_it_is_never_seen(lanes: Lanes) -> None:
    add(lanes, A)
    lanes.inserted(next_insert(lanes), [InsertOutcome.TAKEN])
    now, reads = 0.0, 0
    while not isinstance(work := lanes.next_work(now), Insert):
        if isinstance(work, CatchUp):
            reads += 1
            lanes.caught_up(work, [], complete=True, now=now)
        now = lanes.due_at() or now
    assert reads == 4
    assert work.runs[0].entries[0].offset == 11


def test_a_repeated_identity_is_looked_up_while_the_rest_goes_on(lanes: Lanes, told: Told) -> None:
    answers = add(lanes, A, 3)
    insert = next_insert(lanes)
    lanes.inserted(insert, [InsertOutcome.INSERTED, InsertOutcome.REPEATED, InsertOutcome.NOT_TRIED])
    lookup = lanes.next_work(0.0)
    assert isinstance(lookup, Lookup)
    assert next_insert(lanes).runs[0].entries[0].offset == 12
    lanes.looked_up(lookup, found("ada", 4, lookup.item.identity[2]), 0.0)
    assert [one.duplicate for one in answers[1] if isinstance(one, Appended)] == [True]
    assert told.committed_offsets == [11, 4]


def test_an_unknown_outcome_is_read_up_and_found(lanes: Lanes, told: Told) -> None:
    (answers,) = add(lanes, A)
    insert = next_insert(lanes)
    lanes.inserted(insert, [InsertOutcome.UNKNOWN])
    work = lanes.next_work(0.0)
    assert isinstance(work, CatchUp)
    lanes.caught_up(work, [found("ada", 11, insert.runs[0].items[0].identity[2])], complete=True, now=0.0)
    assert [one.duplicate for one in answers if isinstance(one, Appended)] == [False]
    assert told.committed_offsets == [11]
    assert lanes.tail(A) == Position(11, 11)


def test_nothing_of_a_sender_overtakes_what_was_given_up(lanes: Lanes) -> None:
    first, first_answers = pending(A, by="ada", at_s=0.0)
    lanes.add(first)
    insert = next_insert(lanes)
    others: list[list[AppendOutcome]] = []
    for by in ("ada", "bob"):
        item, answers = pending(A, by=by, at_s=1.0)
        lanes.add(item)
        others.append(answers)
    lanes.expire(4.5)
    assert [type(one) for one in (*first_answers, *others[0])] == [Unavailable, Unavailable]
    assert others[1] == []
    lanes.inserted(insert, [InsertOutcome.UNKNOWN])
    work = lanes.next_work(4.5)
    assert isinstance(work, CatchUp)
    lanes.caught_up(work, [], complete=True, now=4.5)
    resumed = lanes.next_work(lanes.due_at() or 0.0)
    assert isinstance(resumed, Insert)
    assert [item.new.by for item in resumed.runs[0].items] == ["bob"]


def test_no_message_of_a_sender_overtakes_one_whose_check_failed(lanes: Lanes) -> None:
    answers: dict[str, list[AppendOutcome]] = {}
    for name, by, check in (
        ("refused", "ada", lambda: False),
        ("after it", "ada", lambda: True),
        ("of another", "bob", lambda: True),
        ("unchecked", "ada", None),
    ):
        item, answers[name] = pending(A, by=by)
        item.check = check
        lanes.add(item)
    insert = next_insert(lanes)
    assert [item.new.by for item in insert.runs[0].items] == ["bob", "ada"]
    assert [type(*answers[name]) for name in ("refused", "after it")] == [PreconditionFailed, PreconditionFailed]
    assert not answers["of another"]
    assert not answers["unchecked"]


def test_what_commits_after_it_was_given_up_is_still_told(lanes: Lanes, told: Told) -> None:
    (answers,) = add(lanes, A)
    insert = next_insert(lanes)
    lanes.expire(100.0)
    lanes.inserted(insert, [InsertOutcome.INSERTED])
    assert told.committed_offsets == [11]
    assert [type(one) for one in answers] == [Unavailable]


def test_everything_queued_fails_together_and_leaves_nothing_behind(lanes: Lanes) -> None:
    answers = [*add(lanes, A, 4), *add(lanes, B), *add(lanes, "d" * 26)]
    lanes.fail_queued(Unavailable("away"))
    assert all(isinstance(one[0], Unavailable) for one in answers)
    assert lanes.queued == 0
    assert lanes.next_work(0.0) is None
    assert lanes.due_at() is None


def test_what_is_unanswered_is_bounded_in_number_and_in_bytes(told: Told) -> None:
    lanes = Lanes(told, LaneSettings(queued=3, queued_bytes=1000))
    lanes.add(pending(size_bytes=900)[0])
    with pytest.raises(Overloaded):
        lanes.add(pending(size_bytes=200)[0])
    lanes.add(pending(key="k", size_bytes=50)[0])
    lanes.add(pending(key="k", size_bytes=50)[0])
    with pytest.raises(Overloaded):
        lanes.add(pending(key="k", size_bytes=1)[0])


def test_only_the_tails_used_last_are_remembered() -> None:
    tails = Tails(2)
    tails.advance(A, Position(1, 1))
    tails.advance(B, Position(2, 2))
    assert tails.get(A) == Position(1, 1)
    tails.advance(C, Position(3, 3))
    assert tails.get(B) is None
    tails.advance(A, Position(0, 0))
    assert tails.get(A) == Position(1, 1)
    assert len(tails) == 2


def test_what_another_process_says_it_committed_is_where_the_next_attempt_begins(lanes: Lanes) -> None:
    lanes.heard(A, 11, "two", 0.0)
    add(lanes, A)
    assert next_insert(lanes).runs[0].entries[0].position == Position(12, 12)


def test_what_does_not_follow_the_known_end_is_not_believed(lanes: Lanes) -> None:
    lanes.heard(A, 12, "two", 0.0)
    assert lanes.tail(A) == Position(10, 10)


def test_what_is_heard_of_a_lost_race_need_not_be_read(lanes: Lanes, told: Told) -> None:
    add(lanes, A)
    insert = next_insert(lanes)
    assert not lanes.heard(A, 11, "two", 0.0)
    lanes.inserted(insert, [InsertOutcome.TAKEN])
    assert next_insert(lanes).runs[0].entries[0].offset == 12
    assert told.examined_offsets == []


def test_who_wrote_last_waits_until_the_others_had_their_turn(told: Told) -> None:
    lanes = Lanes(told, own="one")
    lanes.learn(A, Position(10, 10))
    lanes.heard(A, 11, "two", 0.0)
    add(lanes, A)
    lanes.inserted(next_insert(lanes), [InsertOutcome.INSERTED])
    add(lanes, A, 3)
    assert lanes.next_work(0.0) is None
    turn_at = lanes.due_at()
    assert turn_at == lanes.turns.turn_s
    assert lanes.heard(A, 13, "two", 0.0)
    assert [entry.offset for entry in next_insert(lanes).runs[0].entries] == [14, 15, 16]


def test_who_hears_nothing_of_others_takes_the_turn_that_they_leave(told: Told) -> None:
    lanes = Lanes(told, own="one")
    lanes.learn(A, Position(10, 10))
    lanes.heard(A, 11, "two", 0.0)
    add(lanes, A)
    lanes.inserted(next_insert(lanes), [InsertOutcome.INSERTED])
    add(lanes, A)
    assert lanes.next_work(0.0) is None
    assert isinstance(lanes.next_work(lanes.due_at() or 0.0), Insert)


def test_a_lost_race_of_which_nothing_is_heard_is_read_however_much_others_write(lanes: Lanes) -> None:
    lanes.heard(A, 20, "two", 0.0)
    add(lanes, A)
    now = lanes.turns.turn_s
    insert = lanes.next_work(now)
    assert isinstance(insert, Insert)
    lanes.inserted(insert, [InsertOutcome.TAKEN])
    reading, offset = None, 20
    for _ in range(20):
        reading = reading or lanes.next_work(now)
        now += lanes.turns.turn_s / 10
        offset += 1
        lanes.heard(A, offset, "two", now)
    assert reading == CatchUp(A, 10)


def found(by: str, offset: int, key: object) -> Found:
    new = message(A, by=by)
    entry = Entry(new.conversation, offset, offset, new.kind, by, new.at, None, new.body)
    return Found(entry, str(key))
