"""Reading frames: what of RFC 6455 it holds to, and that messages come out whole, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.frame_reader import (
    CONTROL_BURST,
    CONTROL_PER_S,
    MAX_FRAGMENTS,
    Frame,
    FrameReader,
    Message,
    Refusal,
)
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


LIMIT = 100_000


def reading(*, opcode: int | None = TEXT, monotonic: Clock | None = None) -> FrameReader:
    return FrameReader(opcode, max_bytes=LIMIT, monotonic=monotonic or Clock())


def read(data: bytes, *, opcode: int | None = TEXT, step: int = 0) -> list[Frame]:
    """What a new reader makes of the data; `step` bytes at a time."""
    reader = reading(opcode=opcode)
    size = step or len(data) or 1
    return [one for at in range(0, len(data), size) for one in reader.feed(data[at : at + size])]


def refusal_in(frames: list[Frame]) -> Refusal | None:
    """Nothing follows one."""
    refusals = [one for one in frames if isinstance(one, Refusal)]
    assert refusals in ([], frames[-1:])
    return refusals[0] if refusals else None


def fed(data: bytes, *, opcode: int | None = TEXT, step: int = 0) -> Refusal | None:
    return refusal_in(read(data, opcode=opcode, step=step))


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
    **{f"W8-reserved-bit-{rsv:03b}": (client_frame(TEXT, b"{}", rsv=rsv), 1002) for rsv in (1, 2, 4, 7)},
    **{f"W9-opcode-{opcode:X}": (client_frame(opcode, b"{}"), 1002) for opcode in (3, 7, 11, 15)},
    "W10-a-ping-of-126-bytes": (client_frame(PING, b"x" * 126), 1002),
    "W10-a-close-in-fragments": (client_frame(CLOSE, close_payload(1000), fin=False), 1002),
    "W13-a-close-of-one-byte": (client_frame(CLOSE, b"\x03"), 1002),
    "W13-a-reason-that-is-not-UTF-8": (client_frame(CLOSE, close_payload(1000, b"\xff")), 1007),
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


def test_what_stands_before_a_refused_frame_is_read_and_nothing_after_it() -> None:
    message, refusal = read(GOOD + client_frame(BINARY) + GOOD)
    assert message == Message(TEXT, b'{"id":1}')
    assert isinstance(refusal, Refusal)


def test_nothing_is_read_after_a_close() -> None:
    assert read(client_frame(CLOSE, close_payload(1000, b"bye")) + GOOD + GOOD) == [
        Message(CLOSE, close_payload(1000, b"bye"))
    ]


@given(st.binary(max_size=300), st.integers(1, 5), st.integers(0, 9), st.booleans())
def test_a_message_is_whole_again_however_it_was_cut(payload: bytes, pieces: int, step: int, between: bool) -> None:
    size = len(payload) // pieces + 1
    cut = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    ping = client_frame(PING, b"?") if between else b""
    sent = [
        ping + client_frame(CONTINUATION if number else TEXT, part, fin=number + 1 == len(cut))
        for number, part in enumerate(cut)
    ]
    found = read(b"".join(sent) + GOOD, step=step)
    assert [one for one in found if one != Message(PING, b"?")] == [Message(TEXT, payload), Message(TEXT, b'{"id":1}')]


@pytest.mark.parametrize("step", [0, 1000])
def test_a_message_may_be_as_large_as_the_limit_and_no_larger(step: int) -> None:
    half = b"x" * (LIMIT // 2)
    assert fed(client_frame(TEXT, b"x" * LIMIT), step=step) is None
    assert fed(client_frame(TEXT, half, fin=False) + client_frame(CONTINUATION, half), step=step) is None
    for frames in (
        client_frame(TEXT, declared=LIMIT + 1),
        client_frame(TEXT, declared=2**63),
        client_frame(TEXT, half, fin=False) + client_frame(CONTINUATION, declared=LIMIT // 2 + 1),
    ):
        refusal = fed(frames, step=step)
        assert refusal is not None
        assert refusal.disconnect.code == 1009


def test_either_opcode_is_read_where_none_is_agreed_on() -> None:
    assert read(GOOD + client_frame(BINARY, b"x"), opcode=None) == [Message(TEXT, b'{"id":1}'), Message(BINARY, b"x")]


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
    reader = reading(monotonic=clock)
    one = client_frame(opcode, b"x" * 125)
    assert refusal_in(reader.feed(one * CONTROL_BURST)) is None
    clock.now += 1
    assert refusal_in(reader.feed(one * int(CONTROL_PER_S))) is None
    refusal = refusal_in(reader.feed(one))
    assert refusal is not None
    assert refusal.disconnect.code == 1008


def test_a_client_that_pings_ten_times_a_second_may_go_on_for_ever() -> None:
    clock = Clock()
    reader = reading(monotonic=clock)
    for _ in range(5000):
        clock.now += 1 / CONTROL_PER_S
        assert refusal_in(reader.feed(client_frame(PING))) is None


FRAMES = st.sampled_from([*ACCEPTED.values(), *(data for data, _ in REFUSED.values())])


@given(st.lists(FRAMES | st.binary(max_size=20), max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_how_the_bytes_are_cut_changes_nothing(frames: list[bytes], sizes: list[int]) -> None:
    data = b"".join(frames)
    reader = reading()
    at = 0
    cut: list[Frame] = []
    while at < len(data):
        size = sizes[at % len(sizes)]
        cut += reader.feed(data[at : at + size])
        at += size
    assert cut == read(data)
