"""WebSocket frames, read by an independent parser."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.codes import DISCONNECTS, FRAME_CLOSES
from realtime.protocol.frames import BINARY, TEXT, close_frame, frame


def parsed(raw: bytes) -> tuple[int, bytes]:
    """(opcode, payload) of one whole, final, unmasked frame, as RFC 6455 §5.2 describes it."""
    assert raw[0] & 0x80, "a frame is never continued"
    assert not raw[0] & 0x70, "no extension is used"
    assert not raw[1] & 0x80, "a server does not mask"
    size, header = raw[1], 2
    if size == 126:
        (size,), header = struct.unpack("!H", raw[2:4]), 4
        assert size > 125, "the length is minimal"
    elif size == 127:
        (size,), header = struct.unpack("!Q", raw[2:10]), 10
        assert size > 65_535, "the length is minimal"
    assert len(raw) == header + size
    return raw[0] & 0x0F, raw[header:]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_frame_of_any_size_has_the_shortest_header(opcode: int, size: int) -> None:
    payload = b"x" * size
    assert parsed(frame(opcode, payload)) == (opcode, payload)


def reason_of(raw: bytes, code: int) -> str:
    opcode, payload = parsed(raw)
    assert opcode == 8
    assert struct.unpack("!H", payload[:2]) == (code,)
    assert len(payload) <= 125, "control frames are short"
    return payload[2:].decode()


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_every_close_of_the_catalogue_has_its_reason() -> None:
    for disconnect in (*FRAME_CLOSES, *DISCONNECTS):
        assert reason_of(close_frame(disconnect.code, disconnect.reason), disconnect.code) == disconnect.reason


@pytest.mark.parametrize("reason", ["", " ", "\n"])
def test_an_empty_reason_is_replaced(reason: str) -> None:
    assert reason_of(close_frame(3501, reason), 3501) == "closed"


@pytest.mark.parametrize(
    "reason", ["42", "true", "null", "{}", '{"code":1}', '"x"', " 1 ", "NaN", "-Infinity", "9" * 200]
)
def test_a_reason_that_is_json_is_disguised(reason: str) -> None:
    text = reason_of(close_frame(3001, reason), 3001)
    assert not is_json(text)
    assert text.startswith("closed: ")


def test_a_reason_that_becomes_json_by_cutting_is_disguised() -> None:
    assert not is_json(reason_of(close_frame(3001, "1" * 123 + "x"), 3001))


def test_a_long_reason_is_cut_at_a_characters_border() -> None:
    text = reason_of(close_frame(3001, "ж" * 100), 3001)
    assert text == "ж" * 61


@given(reason=st.text(), code=st.integers(1000, 4999))
def test_no_reason_is_empty_or_json_or_too_long(reason: str, code: int) -> None:
    text = reason_of(close_frame(code, reason), code)
    assert text
    assert not is_json(text)


@pytest.mark.parametrize("code", [0, 999, 5000, 65_536])
def test_a_code_that_no_close_frame_may_carry_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="close code"):
        close_frame(code, "reason")
