"""Whatever bytes come from outside, they are read or refused by the reader's own error, and by no other."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.vocabulary import cursor
from realtime import control
from realtime.control import Ask, DisconnectSessions, Envelope, Notice, RefreshSessions, Target, Tell
from realtime.protocol.codes import FRAME_CLOSES, ClientError
from realtime.protocol.frame_reader import FrameReader, Refusal
from realtime.redis import envelope
from support.raw_frames import client_frame

TARGETS = st.builds(Target, st.text(max_size=5), st.text(max_size=5))
CONTROLS = st.one_of(
    st.builds(DisconnectSessions, TARGETS, st.integers(3000, 4999), st.text(max_size=9)),
    st.builds(RefreshSessions, TARGETS, st.booleans(), st.none() | st.floats(0, 1e10)),
    st.builds(Ask, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.binary(max_size=9)),
    st.builds(Tell, st.text(max_size=5), st.text(max_size=5), st.binary(max_size=9)),
    st.builds(Notice, st.text(max_size=5), st.binary(max_size=9)),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ALMOST = st.fixed_dictionaries(
    {"process": st.text(max_size=5) | VALUES},
    optional={
        "control": st.dictionaries(
            st.sampled_from(["type", "target", "code", "reason", "data", "user", "channel", "question", "subject"]),
            st.sampled_from(["disconnect", "ask", "notice", "nonsense"]) | VALUES,
            max_size=5,
        )
    },
)


@given(st.text(max_size=5), CONTROLS)
def test_what_processes_tell_each_other_is_read_again(process: str, told: Any) -> None:
    assert control.decode(control.encode(Envelope(process, told))) == Envelope(process, told)


@given(st.binary() | ALMOST.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"process":"p","control":' + b'{"a":' * 10_000)
@example(b'{"process":"\xff"}')
@example(b'{"process":"p","control":{"type":"\xed\xa0\x80"}}')
def test_what_nobody_of_ours_says_is_refused_with_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(control.decode(data), Envelope)


@given(st.binary(), st.binary(max_size=9))
@example(b"\x97\x01\xa3pub\xc4\x00\xc0\x80\x00" + b"\x91" * 100_000, b"")
@example(b"1:e:h:" + msgspec.msgpack.encode((1, "pub", b"{}", None, {"\ud7ff": "x"}, 2**63)), b"")
def test_what_is_no_delivery_is_refused_with_its_own_error(message: bytes, own: bytes) -> None:
    for data in (message, b"1:e:h:" + message):
        with suppress(envelope.EnvelopeError):
            envelope.decode("c", data, own=own)


@pytest.mark.parametrize(
    "decode",
    [cursor.decode_cursor, cursor.decode_pins_cursor, cursor.decode_sync_cursor, cursor.decode_mention_cursor],
)
@given(st.text() | st.text("0123456789.~abcdefghijklmnopqrstuvwxyz234567").map(cursor._encode))
def test_any_text_is_a_cursor_or_a_client_error(decode: Any, text: str) -> None:
    with suppress(ClientError):
        decode(text)


FRAME = st.builds(
    client_frame,
    st.integers(0, 15),
    st.binary(max_size=140),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 1, 4]),
    masked=st.sampled_from([True, True, True, False]),
    length_bytes=st.sampled_from([None, None, 2, 8]),
)


@given(st.lists(FRAME | st.binary(max_size=30), max_size=8), st.integers(1, 60))
def test_any_frames_are_messages_or_a_close_with_a_code(frames: list[bytes], step: int) -> None:
    reader = FrameReader(1, max_bytes=1000, monotonic=lambda: 0.0)
    data = b"".join(frames)
    found = [one for at in range(0, len(data), step) for one in reader.feed(data[at : at + step])]
    for one in found:
        if isinstance(one, Refusal):
            assert one is found[-1]
            assert one.disconnect in FRAME_CLOSES
        else:
            assert len(one.payload) <= 1000
