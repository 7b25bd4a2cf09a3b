"""Reads the frames of a client (RFC 6455) from whatever pieces of bytes come, and refuses what the RFC refuses. Pure.

Floods of frames that cost their sender nothing are bounded as well: fragments, pings, pongs. Whether a text is UTF-8 is
left to whoever decodes it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from realtime.protocol.codes import (
    CLOSE_FRAME_POLICY,
    CLOSE_FRAME_PROTOCOL,
    CLOSE_FRAME_TEXT,
    CLOSE_FRAME_TOO_BIG,
    CLOSE_FRAME_TYPE,
    Disconnect,
)
from realtime.protocol.frames import BINARY, CLOSE, PING, PONG, TEXT

MAX_FRAGMENTS: Final = 1024
"""Frames that one message may come in. No SDK sends more than one; browsers cut large messages into a few."""

CONTROL_BURST: Final = 100
CONTROL_PER_S: Final = 10.0
"""Pings and pongs that a client may send at once and for long. Its own are one every few seconds, if any."""

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_CONTINUATION: Final = 0
_DATA: Final = (TEXT, BINARY)
_CONTROL: Final = (CLOSE, PING, PONG)
_UNASSIGNED_CLOSE_CODES: Final = frozenset({1004, 1005, 1006})
_LAST_STANDARD_CLOSE_CODE: Final = 1014
_MAX_SMALL: Final = 125
_LONG: Final = _MASKED + 126
_LEAST: Final = 6
"""The size of an empty frame: two bytes and the mask."""
_MAX_HEADER: Final = 14


class Message(NamedTuple):
    """A whole message, its fragments put together, or a control frame; unmasked."""

    opcode: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong, and how the connection is to be closed for it. Nothing follows it."""

    disconnect: Disconnect
    rule: str

    @property
    def reason(self) -> str:
        return f"{self.disconnect.reason}: {self.rule}"


Frame = Message | Refusal


class _Wrong(Exception):
    def __init__(self, disconnect: Disconnect, rule: str) -> None:
        self.refusal = Refusal(disconnect, rule)


class FrameReader:
    """Follows one connection's incoming bytes. After a close frame, and after a refusal, it reads nothing any more.

    Bound: it holds less than `max_bytes` of an unfinished message, and what it is fed.
    """

    __slots__ = (
        "_control_full_at",
        "_fragments",
        "_header",
        "_left",
        "_max_bytes",
        "_message",
        "_monotonic",
        "_opcode",
        "_over",
        "_partial",
        "_usual",
    )

    def __init__(self, opcode: int | None, *, max_bytes: int, monotonic: Callable[[], float]) -> None:
        """`opcode` is that of the connection's data frames: 1 (text) or 2 (binary); None: either."""
        self._opcode = opcode
        self._usual = _FIN | (opcode or TEXT)
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._over = False
        # The header of a frame as far as it has come, or of the one whose payload is coming.
        self._header = b""
        self._left = 0
        self._partial: bytearray | None = None
        # Frames of the message under way (0: none is), with its opcode before what has come of it.
        self._fragments = 0
        self._message: bytearray | None = None
        # When the tokens for control frames are all there again.
        self._control_full_at = 0.0

    def feed(self, data: bytes) -> list[Frame]:
        """What is complete with the next bytes, in order."""
        size = len(data)
        if size >= _LEAST and data[0] == self._usual and not (self._header or self._fragments or self._over):
            # What nearly always comes: one whole message, small or of less than 64 KiB.
            second = data[1]
            if second < _LONG:
                if second - _MASKED == size - _LEAST:
                    return [Message(self._usual & 0x0F, _unmasked(data[2:6], data[6:]))]
            elif second == _LONG and _MAX_SMALL < size - _LEAST - 2 == data[2] << 8 | data[3] <= self._max_bytes:
                return [Message(self._usual & 0x0F, _unmasked(data[4:8], data[8:]))]
        found: list[Frame] = []
        try:
            self._read(data, found)
        except _Wrong as wrong:
            self._end()
            found.append(wrong.refusal)
        return found

    def _read(self, data: bytes, found: list[Frame]) -> None:
        at, size = 0, len(data)
        while at < size and not self._over:
            if self._partial is not None:
                taken = min(self._left, size - at)
                self._partial += data[at : at + taken]
                self._left -= taken
                at += taken
                if self._left:
                    return
                header, payload = self._header, bytes(self._partial)
                self._partial = None
            else:
                known = len(self._header)
                header = self._header + data[at : at + _MAX_HEADER - known]
                needed = _needed(header)
                if needed > len(header):
                    self._header = header
                    return
                header = header[:needed]
                at += needed - known
                length = self._judged(header)
                if length > size - at:
                    self._header, self._left = header, length - (size - at)
                    self._partial = bytearray(data[at:])
                    return
                payload = data[at : at + length]
                at += length
            self._header = b""
            message = self._finished(header[0], _unmasked(header[-4:], payload))
            if message is not None:
                found.append(message)

    def _judged(self, header: bytes) -> int:
        """The length of a frame that may come. Raises _Wrong."""
        first, second = header[0], header[1]
        opcode = first & 0x0F
        if not second & _MASKED:
            raise _Wrong(CLOSE_FRAME_PROTOCOL, "a client masks its frames")
        if first & _RESERVED:
            raise _Wrong(CLOSE_FRAME_PROTOCOL, "nothing was agreed on that uses the reserved bits")
        short = second & 0x7F
        length = short if short <= _MAX_SMALL else int.from_bytes(header[2:-4])
        if (short == 126 and length <= _MAX_SMALL) or (short == 127 and length < 65536):
            raise _Wrong(CLOSE_FRAME_PROTOCOL, "a length is written as short as it can be")
        if opcode in _CONTROL:
            self._judge_control(first, opcode, length)
            return length
        if opcode in _DATA:
            if self._fragments:
                raise _Wrong(CLOSE_FRAME_PROTOCOL, "a message begins within another one")
            if self._opcode is not None and opcode != self._opcode:
                usual = "binary" if opcode == TEXT else "text"
                raise _Wrong(CLOSE_FRAME_TYPE, f"this subprotocol is sent in {usual} frames")
        elif opcode == _CONTINUATION:
            if not self._fragments:
                raise _Wrong(CLOSE_FRAME_PROTOCOL, "a continuation of nothing")
            if self._fragments == MAX_FRAGMENTS:
                raise _Wrong(CLOSE_FRAME_POLICY, f"a message of more than {MAX_FRAGMENTS} fragments")
        else:
            raise _Wrong(CLOSE_FRAME_PROTOCOL, "there is no such opcode")
        if length > self._max_bytes - (0 if self._message is None else len(self._message) - 1):
            raise _Wrong(CLOSE_FRAME_TOO_BIG, f"a message has at most {self._max_bytes} bytes")
        return length

    def _judge_control(self, first: int, opcode: int, length: int) -> None:
        if not first & _FIN:
            raise _Wrong(CLOSE_FRAME_PROTOCOL, "a control frame comes in one piece")
        if length > _MAX_SMALL:
            raise _Wrong(CLOSE_FRAME_PROTOCOL, f"a control frame has at most {_MAX_SMALL} bytes")
        if opcode == CLOSE:
            return
        now = self._monotonic()
        self._control_full_at = max(self._control_full_at, now) + 1 / CONTROL_PER_S
        if self._control_full_at - now > (CONTROL_BURST + 0.001) / CONTROL_PER_S:
            raise _Wrong(CLOSE_FRAME_POLICY, "too many pings and pongs")

    def _finished(self, first: int, payload: bytes) -> Message | None:
        """What a frame whose payload is there completes. Raises _Wrong."""
        opcode = first & 0x0F
        if opcode in _CONTROL:
            if opcode == CLOSE:
                _judge_close(payload)
                self._end()
            return Message(opcode, payload)
        if first & _FIN and not self._fragments:
            return Message(opcode, payload)
        if self._message is None:
            self._message = bytearray((opcode,))
        self._message += payload
        self._fragments += 1
        if not first & _FIN:
            return None
        whole, self._message, self._fragments = self._message, None, 0
        return Message(whole[0], bytes(whole[1:]))

    def _end(self) -> None:
        self._over = True
        self._partial = self._message = None
        self._header = b""


def _needed(header: bytes) -> int:
    """The size of a header of which these bytes are known, as far as they tell."""
    if len(header) < 2:
        return 2
    second = header[1]
    if not second & _MASKED:
        return 2  # it is refused
    return 6 + {126: 2, 127: 8}.get(second & 0x7F, 0)


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    size = len(payload)
    if mask == b"\0\0\0\0" or not size:
        return payload
    # One operation on two very large numbers is the fastest there is without a library.
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def _judge_close(payload: bytes) -> None:
    """Raises _Wrong for what a client may not say with a close (RFC 6455, 7.4; the registry up to 1014)."""
    if not payload:
        return
    code = int.from_bytes(payload[:2])
    standard = 1000 <= code <= _LAST_STANDARD_CLOSE_CODE and code not in _UNASSIGNED_CLOSE_CODES
    if len(payload) < 2 or not (standard or 3000 <= code <= 4999):
        raise _Wrong(CLOSE_FRAME_PROTOCOL, "a close code that is not to be sent")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise _Wrong(CLOSE_FRAME_TEXT, "the reason of a close is not UTF-8") from None
