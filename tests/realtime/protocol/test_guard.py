"""The guard before the WebSocket reader: what of RFC 6455 it holds to, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.guard import CONTROL_BURST, CONTROL_PER_S, MAX_FRAGMENTS, FrameGuard, Refusal
from support.raw_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    client_frame,
    close_payload,
)

GOOD = client_frame(TEXT, b'{"id":1}')


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def fed(data: bytes, *, opcode: int = TEXT, step: int = 0) -> Refusal | None:
    """What a new guard says of the data; `step` bytes at a time."""
    guard = FrameGuard(opcode, monotonic=Clock())
    for at in range(0, len(data), step or len(data) or 1):
        refusal = guard.feed(data[at : at + (step or len(data))])
        if refusal is not None:
            return refusal
    return None


ACCEPTED = {
    "a-small-message": GOOD,
    "an-empty-message": client_frame(TEXT),
    "125-bytes": client_frame(TEXT, b"x" * 125),
    "126-bytes": client_frame(TEXT, b"x" * 126),
    "65535-bytes": client_frame(TEXT, b"x" * 65535),
    "65536-bytes": client_frame(TEXT, b"x" * 65536),
    "two-messages": GOOD * 2,
    "three-fragments": client_frame(TEXT, b"{", fin=False)
    + client_frame(CONTINUATION, fin=False)
    + client_frame(CONTINUATION, b"}"),
    "a-ping-between-fragments": client_frame(TEXT, b"{", fin=False)
    + client_frame(PING, b"x")
    + client_frame(CONTINUATION, b"}"),
    "a-close-without-code": client_frame(CLOSE),
    "a-close-with-a-reason": client_frame(CLOSE, close_payload(1000, b"bye")),
    **{f"a-close-with-{code}": client_frame(CLOSE, close_payload(code)) for code in (1001, 1013, 3000, 4999)},
}


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize("step", [0, 1, 3])
def test_what_a_client_may_send_passes(data: bytes, step: int) -> None:
    assert fed(data, step=step) is None
    assert fed(data + GOOD, step=step) is None


REFUSED = {
    "W1-an-unmasked-text-frame": (client_frame(TEXT, b"{}", masked=False), 1002),
    "W1-an-unmasked-ping": (client_frame(PING, masked=False), 1002),
    "W1-an-unmasked-close": (client_frame(CLOSE, close_payload(1000), masked=False), 1002),
    "W1-an-unmasked-large-frame": (client_frame(TEXT, b"x" * 70_000, masked=False), 1002),
    "W6-a-message-within-a-message": (client_frame(TEXT, b"a", fin=False) + client_frame(TEXT, b"b"), 1002),
    "W6-a-message-after-an-empty-first-fragment": (client_frame(TEXT, fin=False) + client_frame(TEXT, b"b"), 1002),
    "W6-a-first-fragment-within-a-message": (
        client_frame(TEXT, b"a", fin=False) + client_frame(TEXT, b"b", fin=False),
        1002,
    ),
    "W7-a-continuation-of-nothing": (client_frame(CONTINUATION, b"a"), 1002),
    "W7-an-open-continuation-of-nothing": (client_frame(CONTINUATION, b"a", fin=False), 1002),
    "W7-a-continuation-of-a-finished-message": (
        client_frame(TEXT, fin=False) + client_frame(CONTINUATION) + client_frame(CONTINUATION),
        1002,
    ),
    **{
        f"{entry}-close-with-{code}": (client_frame(CLOSE, close_payload(code)), 1002)
        for entry, codes in {
            "W13": (0, 999, 1004, 1005, 1015, 1016, 2000, 2999),
            "W14": (1006, 5000, 65535),
        }.items()
        for code in codes
    },
    "W21-a-binary-frame-on-a-JSON-connection": (client_frame(BINARY, b"{}"), 1003),
    "W21-a-binary-fragment-on-a-JSON-connection": (client_frame(BINARY, b"{}", fin=False), 1003),
    "W22-2-bytes-for-a-length-of-5": (client_frame(TEXT, b"x" * 5, length_bytes=2), 1002),
    "W22-8-bytes-for-a-length-of-5": (client_frame(TEXT, b"x" * 5, length_bytes=8), 1002),
    "W22-8-bytes-for-a-length-of-65535": (client_frame(TEXT, b"x" * 65535, length_bytes=8), 1002),
}


@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("step", [0, 1, 5])
def test_what_a_client_must_not_send_is_refused(data: bytes, code: int, step: int) -> None:
    for before in (b"", GOOD, client_frame(PING, b"x" * 125)):
        refusal = fed(before + data, step=step)
        assert refusal is not None
        assert refusal.disconnect.code == code
        assert 0 < len(refusal.reason.encode()) <= 123


def test_w21_a_text_frame_on_a_protobuf_connection_is_refused() -> None:
    assert fed(client_frame(BINARY, b"x"), opcode=BINARY) is None
    refusal = fed(client_frame(TEXT, b"x"), opcode=BINARY)
    assert refusal is not None
    assert refusal.disconnect.code == 1003


def test_what_stands_before_a_refused_frame_passes() -> None:
    assert fed(GOOD + client_frame(BINARY)) == Refusal(len(GOOD), *_type_refusal())


def _type_refusal() -> tuple[object, str]:
    refusal = fed(client_frame(BINARY))
    assert refusal is not None
    return refusal.disconnect, refusal.rule


def fragments(count: int, payload: bytes) -> bytes:
    middle = client_frame(CONTINUATION, payload, fin=False) * (count - 2)
    return client_frame(TEXT, payload, fin=False) + middle + client_frame(CONTINUATION, payload)


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one-byte"])
def test_w5_a_message_of_too_many_fragments_is_refused(payload: bytes) -> None:
    assert fed(fragments(MAX_FRAGMENTS, payload) * 2) is None
    refusal = fed(fragments(MAX_FRAGMENTS + 1, payload))
    assert refusal is not None
    assert refusal.disconnect.code == 1008


@pytest.mark.parametrize("opcode", [PING, PONG], ids=["W11-pings", "W12-pongs"])
def test_a_flood_of_control_frames_is_refused(opcode: int) -> None:
    clock = Clock()
    guard = FrameGuard(TEXT, monotonic=clock)
    one = client_frame(opcode, b"x" * 125)
    assert guard.feed(one * CONTROL_BURST) is None
    clock.now += 1
    assert guard.feed(one * int(CONTROL_PER_S)) is None
    refusal = guard.feed(one)
    assert refusal is not None
    assert refusal.disconnect.code == 1008


def test_a_client_that_pings_ten_times_a_second_may_go_on_for_ever() -> None:
    clock = Clock()
    guard = FrameGuard(TEXT, monotonic=clock)
    for _ in range(5000):
        clock.now += 1 / CONTROL_PER_S
        assert guard.feed(client_frame(PING)) is None


FRAMES = st.sampled_from([*ACCEPTED.values(), *(data for data, _ in REFUSED.values())])


@given(st.lists(FRAMES | st.binary(max_size=20), max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_how_the_bytes_are_cut_changes_nothing(frames: list[bytes], sizes: list[int]) -> None:
    data = b"".join(frames)
    whole = fed(data)
    guard = FrameGuard(TEXT, monotonic=Clock())
    at = 0
    cut: Refusal | None = None
    while at < len(data) and cut is None:
        size = sizes[at % len(sizes)]
        cut = guard.feed(data[at : at + size])
        at += size
    assert (cut and (cut.disconnect, cut.rule)) == (whole and (whole.disconnect, whole.rule))
