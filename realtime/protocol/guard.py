"""Looks at the frames of a client before the WebSocket library does, for what the library lets through. Pure.

RFC 6455 says what a client must do; the library checks most of it. What it leaves out is checked here, and floods of
frames that cost their sender nothing are bounded here: fragments, pings, pongs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from realtime.protocol.codes import (
    CLOSE_FRAME_POLICY,
    CLOSE_FRAME_PROTOCOL,
    CLOSE_FRAME_TYPE,
    Disconnect,
)

MAX_FRAGMENTS: Final = 1024
"""Frames that one message may come in. No SDK sends more than one; browsers cut large messages into a few."""

CONTROL_BURST: Final = 100
CONTROL_PER_S: Final = 10.0
"""Pings and pongs that a client may send at once and for long. Its own are one every few seconds, if any."""

_FIN: Final = 0x80
_MASKED: Final = 0x80
_CONTINUATION: Final = 0
_DATA: Final = (1, 2)
_CLOSE: Final = 8
_PING_PONG: Final = (9, 10)
_UNASSIGNED_CLOSE_CODES: Final = frozenset({1004, 1005, 1006})
_LAST_STANDARD_CLOSE_CODE: Final = 1014
_MAX_SMALL: Final = 125
_LONG: Final = _MASKED + 126
_LEAST: Final = 6
"""The size of an empty frame: two bytes and the mask."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong. `passed` bytes of what was fed come before the frame it is about."""

    passed: int
    disconnect: Disconnect
    rule: str

    @property
    def reason(self) -> str:
        return f"{self.disconnect.reason}: {self.rule}"


class FrameGuard:
    """Follows one connection's incoming bytes from frame to frame. Holds no payload: a few numbers per connection."""

    __slots__ = ("_budget", "_filled_at", "_fragments", "_head", "_monotonic", "_opcode", "_payload_left", "_usual")

    def __init__(self, opcode: int | None, *, monotonic: Callable[[], float]) -> None:
        """`opcode` is that of the connection's data frames: 1 (text) or 2 (binary); None: either."""
        self._opcode = opcode
        self._usual = _FIN | (opcode or _DATA[0])
        self._monotonic = monotonic
        self._head = b""
        self._payload_left = 0
        # Frames of the message under way; 0: none is.
        self._fragments = 0
        self._budget = float(CONTROL_BURST)
        self._filled_at = 0.0

    def feed(self, data: bytes) -> Refusal | None:
        """Look at the next bytes. None: all may pass on. After a `Refusal` the connection is to be closed."""
        size = len(data)
        at = 0
        if self._payload_left:
            if self._payload_left >= size:
                self._payload_left -= size
                return None
            at, self._payload_left = self._payload_left, 0
        elif size >= _LEAST and data[0] == self._usual and not self._head and not self._fragments:
            # What nearly always comes: one whole message, small or of less than 64 KiB.
            second = data[1]
            if second < _LONG:
                if second - _MASKED == size - _LEAST:
                    return None
            elif second == _LONG and _MAX_SMALL < size - _LEAST - 2 == data[2] << 8 | data[3]:
                return None
        while at < size:
            known = len(self._head)
            head = self._head + data[at : at + 16 - known]
            needed = _needed(head)
            if needed > len(head):
                self._head = head
                return None
            wrong = self._judge(head)
            if wrong is not None:
                return Refusal(at, *wrong)
            header, length = _measure(head)
            self._head = b""
            at += header - known
            if length > size - at:
                self._payload_left = length - (size - at)
                return None
            at += length
        return None

    def _judge(self, head: bytes) -> tuple[Disconnect, str] | None:
        first, second = head[0], head[1]
        opcode = first & 0x0F
        header, length = _measure(head)
        if not second & _MASKED:
            return CLOSE_FRAME_PROTOCOL, "a client masks its frames"
        if (second & 0x7F == 126 and length <= _MAX_SMALL) or (second & 0x7F == 127 and length < 65536):
            return CLOSE_FRAME_PROTOCOL, "a length is written as short as it can be"
        if opcode in _DATA:
            if self._fragments:
                return CLOSE_FRAME_PROTOCOL, "a message begins within another one"
            if self._opcode is not None and opcode != self._opcode:
                return CLOSE_FRAME_TYPE, f"this subprotocol is sent in {'binary' if opcode == 1 else 'text'} frames"
            self._fragments = 0 if first & _FIN else 1
        elif opcode == _CONTINUATION:
            if not self._fragments:
                return CLOSE_FRAME_PROTOCOL, "a continuation of nothing"
            if self._fragments == MAX_FRAGMENTS:
                return CLOSE_FRAME_POLICY, f"a message of more than {MAX_FRAGMENTS} fragments"
            self._fragments = 0 if first & _FIN else self._fragments + 1
        elif opcode == _CLOSE and length >= 2 and not _may_close(_unmasked_code(head, header)):
            return CLOSE_FRAME_PROTOCOL, "a close code that is not to be sent"
        elif opcode in _PING_PONG and not self._spend():
            return CLOSE_FRAME_POLICY, "too many pings and pongs"
        return None

    def _spend(self) -> bool:
        now = self._monotonic()
        self._budget = min(CONTROL_BURST, self._budget + (now - self._filled_at) * CONTROL_PER_S) - 1
        self._filled_at = now
        return self._budget >= 0


def _needed(head: bytes) -> int:
    """The bytes it takes to judge a frame of which these are known, as far as they tell."""
    if len(head) < 2:
        return 2
    second = head[1]
    if not second & _MASKED:
        return 2 + _extended(second)
    needed = 2 + _extended(second) + 4
    return needed + 2 if head[0] & 0x0F == _CLOSE and 2 <= second & 0x7F <= _MAX_SMALL else needed


def _extended(second: int) -> int:
    return {126: 2, 127: 8}.get(second & 0x7F, 0)


def _measure(head: bytes) -> tuple[int, int]:
    """Sizes of a frame's header and of its payload."""
    second = head[1]
    extended = _extended(second)
    length = int.from_bytes(head[2 : 2 + extended]) if extended else second & 0x7F
    return 2 + extended + (4 if second & _MASKED else 0), length


def _unmasked_code(head: bytes, header: int) -> int:
    if header + 2 > len(head):
        return 1000  # a control frame that is too long: the library refuses it for that
    mask = head[header - 4 : header - 2]
    return int.from_bytes(head[header : header + 2]) ^ int.from_bytes(mask)


def _may_close(code: int) -> bool:
    """Whether a client may send a close code (RFC 6455, 7.4; the registry up to 1014)."""
    return (1000 <= code <= _LAST_STANDARD_CLOSE_CODE and code not in _UNASSIGNED_CLOSE_CODES) or 3000 <= code <= 4999
