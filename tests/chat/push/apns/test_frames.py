"""What passes through to h2, and what GOAWAY says, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.push.apns.frames import MAX_GOAWAY_BYTES, FrameFilter, GoAway, Oversized, Part


def _frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + (5).to_bytes(4, "big") + payload


def _goaway(last: int, code: int = 0, debug: bytes = b"") -> bytes:
    return _frame(7, last.to_bytes(4, "big") + code.to_bytes(4, "big") + debug)


FRAMES = st.one_of(
    st.tuples(st.sampled_from([0, 1, 3, 4, 6, 8, 9]), st.binary(max_size=40)).map(lambda one: _frame(*one)),
    st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 13), st.binary(max_size=20)).map(lambda one: GoAway(*one)),
)


def _fed(data: bytes, cuts: list[int]) -> list[Part]:
    filter_ = FrameFilter()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    parts: list[Part] = []
    for begin, end in pairwise(edges):
        parts += filter_.feed(data[begin:end])
    return parts


def _joined(parts: list[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(0, 1000), max_size=12))
def test_everything_but_goaway_passes_in_order_however_it_is_cut(frames: list[Part], cuts: list[int]) -> None:
    data = b"".join(
        _goaway(one.last_stream_id, one.code, one.debug) if isinstance(one, GoAway) else one for one in frames
    )
    assert _joined(_fed(data, cuts)) == _joined(frames)


def test_a_goaway_that_is_too_short_covers_nothing() -> None:
    assert FrameFilter().feed(_frame(7, b"\0\0\0\x07")) == [GoAway(0, 0)]


def test_a_goaway_that_no_frame_can_be_is_not_waited_for() -> None:
    with pytest.raises(Oversized):
        FrameFilter().feed((MAX_GOAWAY_BYTES + 1).to_bytes(3, "big") + b"\x07\0\0\0\0\0")
