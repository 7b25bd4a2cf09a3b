"""A session that follows the rules has everything once and in order, or is told that it has not."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.recovery import DELIVER, GAP, Cursor, Fresh, Position, Recovered, Unrecoverable, decide

offsets = st.integers(0, 50)


@given(
    asked=st.none() | st.builds(Position, st.sampled_from(["", "_", "e1", "e2"]), offsets),
    head=offsets,
    oldest=st.none() | st.integers(1, 51),
    max_entries=offsets,
)
def test_recovered_means_that_exactly_the_rest_can_be_read(
    asked: Position | None, head: int, oldest: int | None, max_entries: int
) -> None:
    readable = range(oldest, head + 1) if oldest is not None else range(0)
    match decide(asked, epoch="e1", head=head, oldest=oldest, max_entries=max_entries):
        case Fresh(head=start):
            assert asked is None
            assert start == head
        case Recovered(after=after, head=upto):
            assert asked is not None
            assert asked.epoch in {"", "e1"}
            assert (after, upto) == (asked.offset, head)
            owed = range(after + 1, upto + 1)
            assert len(owed) <= max_entries
            assert all(offset in readable for offset in owed)
        case Unrecoverable(head=start):
            assert asked is not None
            assert start == head
            owed = range(asked.offset + 1, head + 1)
            assert (
                asked.epoch not in {"", "e1"}
                or asked.offset > head
                or len(owed) > max_entries
                or any(offset not in readable for offset in owed)
            )


@given(st.integers(0, 5), st.lists(st.integers(1, 12), max_size=60))
def test_a_cursor_delivers_each_offset_once_and_without_holes(head: int, arrivals: list[int]) -> None:
    cursor = Cursor(head)
    delivered = [offset for offset in arrivals if cursor.advance(offset) is DELIVER]
    assert delivered == list(range(head + 1, head + 1 + len(delivered)))
    assert cursor.next == head + len(delivered) + 1
    assert cursor.advance(cursor.next + 1) is GAP
