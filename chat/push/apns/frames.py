"""Takes GOAWAY out of what a server sends, before h2 sees it. Pure.

A server that leaves still answers the streams that it names as its last. h2 refuses every frame after a GOAWAY, so it
must not know of one until those streams have ended. Everything else passes through unread.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

_HEADER_BYTES: Final = 9
_GOAWAY: Final = 7
_STREAM_BITS: Final = 0x7FFFFFFF

MAX_GOAWAY_BYTES: Final = 16 * 1024


class Oversized(Exception):
    """A GOAWAY that is larger than any frame may be."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """Streams above `last_stream_id` were not processed, and will not be. `code` as of RFC 9113, 7."""

    last_stream_id: int
    code: int
    debug: bytes = b""


Part: TypeAlias = bytes | GoAway


class FrameFilter:
    """Holds back at most a frame header, or a GOAWAY that is not complete."""

    def __init__(self) -> None:
        self._held = b""
        self._skip = 0
        """Bytes of a frame that has begun, still to come."""

    def feed(self, data: bytes) -> list[Part]:
        """What came, in order, without the GOAWAYs in it and with what they say. Raises Oversized."""
        if self._held:
            data = self._held + data
        parts: list[Part] = []
        start, at, size = 0, self._skip, len(data)
        while at + _HEADER_BYTES <= size:
            end = at + _HEADER_BYTES + int.from_bytes(data[at : at + 3], "big")
            if data[at + 3] == _GOAWAY:
                if end - at > MAX_GOAWAY_BYTES:
                    raise Oversized
                if end > size:
                    break
                if at > start:
                    parts.append(data[start:at])
                parts.append(_goaway(data[at + _HEADER_BYTES : end]))
                start = end
            at = end
        if at >= size:
            self._held, self._skip = b"", at - size
            at = size
        else:
            self._held, self._skip = data[at:], 0
        if at > start:
            parts.append(data[start:at] if start or at < size else data)
        return parts


def _goaway(payload: bytes) -> GoAway:
    """A payload that is too short says what the worst one would: nothing was processed."""
    last = int.from_bytes(payload[:4], "big") & _STREAM_BITS if len(payload) >= 8 else 0
    return GoAway(last, int.from_bytes(payload[4:8], "big"), payload[8:])
