"""Marks of a member that come together do what they would have done one after the other."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from storage.model import ORIGIN, Marks, Member, Position, Role, marked

LAST = 12

offsets = st.integers(0, LAST)
marks = st.builds(Marks, offsets, offsets, st.none() | offsets)
positions = st.builds(lambda offset: Position(offset, offset // 2), offsets)
members = st.builds(
    lambda read, delivered, unread_from: Member(
        "c" * 26, "ada", Role.MEMBER, 1, 1, read, 1, delivered=max(read, delivered), unread_from=unread_from
    ),
    positions,
    positions,
    st.none() | st.integers(1, LAST),
)


def place(offset: int) -> Position:
    return Position(offset, offset // 2) if offset else ORIGIN


def after(member: Member, asked: Marks) -> Member:
    return marked(member, asked, place(asked.read), place(asked.delivered)).member


@given(members, st.lists(marks, min_size=1, max_size=6))
def test_together_or_one_by_one_is_the_same(member: Member, asked: list[Marks]) -> None:
    one_by_one, together = member, asked[0]
    for one in asked:
        one_by_one = after(one_by_one, one)
    for one in asked[1:]:
        together = together.then(one)
    assert after(member, together) == one_by_one


@given(members, marks)
def test_positions_never_move_back_and_what_is_read_is_received(member: Member, asked: Marks) -> None:
    outcome = marked(member, asked, place(asked.read), place(asked.delivered))
    assert outcome.member.read >= member.read
    assert outcome.member.delivered >= max(member.delivered, outcome.member.read)


@given(members, marks)
def test_what_changes_nothing_says_so(member: Member, asked: Marks) -> None:
    again = marked(after(member, replace(asked, unread_from=None)), replace(asked, unread_from=None), ORIGIN, ORIGIN)
    assert not again.changed


@given(members, marks)
def test_only_what_is_private_is_told_to_the_members_own_devices(member: Member, asked: Marks) -> None:
    outcome = marked(member, asked, place(asked.read), place(asked.delivered))
    changed = (outcome.member.read, outcome.member.unread_from) != (member.read, member.unread_from)
    assert outcome.private == changed


def test_reading_up_to_the_mark_takes_it_off_and_reading_less_does_not() -> None:
    member = Member("c" * 26, "ada", Role.MEMBER, 1, 1, place(10), 1, unread_from=5)
    assert after(member, Marks(read=4)).unread_from == 5
    assert after(member, Marks(read=5)).unread_from is None
    assert after(member, Marks(delivered=9)).unread_from == 5
    assert after(member, Marks(read=10, unread_from=3)).unread_from == 3
