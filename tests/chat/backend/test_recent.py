"""Pieces of logs that were read lately: what is given out is what a read would give."""

from hypothesis import given
from hypothesis import strategies as st

from chat.backend.recent import KEPT_S, MAX_BYTES, MAX_PIECES, Piece, RecentPieces
from realtime.protocol.messages import Payload, Publication

ANY = {"limit": 100, "max_bytes": 1 << 20}


def entries(after: int, count: int, size: int = 10) -> list[Publication]:
    return [Publication(Payload(b"x" * size), offset=after + index + 1) for index in range(count)]


def offsets(found: list[Publication]) -> list[int]:
    return [one.offset for one in found]


def test_what_follows_any_offset_within_a_piece_is_known():
    recent = RecentPieces()
    recent.put("a", Piece(10, entries(10, 5), 15, None, 0.0))
    for offset, expected in ((9, []), (10, [11, 12, 13, 14, 15]), (13, [14, 15]), (15, []), (99, [])):
        assert offsets(recent.find("a", offset, cursor=15, now=1.0, now_ms=0, **ANY)) == expected
    assert offsets(recent.find("b", 10, cursor=15, now=1.0, now_ms=0, **ANY)) == []


def test_nothing_is_given_out_that_a_later_entry_may_have_changed():
    recent = RecentPieces()
    recent.put("a", Piece(10, entries(10, 5), 15, None, 0.0))
    assert recent.find("a", 10, cursor=16, now=1.0, now_ms=0, **ANY) == []
    assert len(recent) == 0
    assert recent.size_bytes == 0


def test_nothing_is_given_out_for_longer_than_it_is_kept_or_than_it_reads_so():
    for now, now_ms in ((KEPT_S + 0.1, 0), (0.0, 1000)):
        recent = RecentPieces()
        recent.put("a", Piece(0, entries(0, 5), 5, 1000, 0.0))
        assert offsets(recent.find("a", 0, cursor=5, now=0.0, now_ms=999, **ANY)) == [1, 2, 3, 4, 5]
        assert recent.find("a", 0, cursor=5, now=now, now_ms=now_ms, **ANY) == []


def test_a_part_is_given_out_where_not_all_of_it_fits():
    recent = RecentPieces()
    recent.put("a", Piece(0, entries(0, 50, size=100), 50, None, 0.0))
    assert len(recent.find("a", 0, cursor=0, now=0.0, now_ms=0, limit=7, max_bytes=1 << 20)) == 7
    assert len(recent.find("a", 0, cursor=0, now=0.0, now_ms=0, limit=100, max_bytes=350)) == 3
    assert len(recent.find("a", 0, cursor=0, now=0.0, now_ms=0, limit=100, max_bytes=1)) == 1


def test_it_is_bounded_in_bytes_and_in_pieces():
    recent = RecentPieces()
    for number in range(100):
        recent.put(str(number), Piece(0, entries(0, 1, size=1 << 20), 1, None, 0.0))
    assert recent.size_bytes <= MAX_BYTES
    assert recent.find("99", 0, cursor=0, now=0.0, now_ms=0, **ANY)
    assert not recent.find("0", 0, cursor=0, now=0.0, now_ms=0, **ANY)
    for number in range(100):
        recent.put("a", Piece(1000 - number * 10, entries(1000 - number * 10, 5), 2000, None, 0.0))
    assert sum(bool(recent.find("a", 10 * number, cursor=0, now=0.0, now_ms=0, **ANY)) for number in range(101)) == (
        MAX_PIECES
    )


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(1, 20)), max_size=40))
def test_what_is_given_out_is_always_the_log_itself(steps):
    """A log that grows while pieces of it are read and asked for."""
    recent, head = RecentPieces(), 30
    for grows, offset, count in steps:
        if grows:
            head += count
            continue
        found = offsets(recent.find("a", offset, cursor=head, now=0.0, now_ms=0, limit=count, max_bytes=1 << 20))
        assert found == list(range(offset + 1, offset + 1 + len(found)))
        assert not found or found[-1] <= head
        if not found and offset < head:
            taken = min(count, head - offset)
            recent.put("a", Piece(offset, entries(offset, taken), head, None, 0.0))
            assert recent.find("a", offset, cursor=head, now=0.0, now_ms=0, **ANY)
