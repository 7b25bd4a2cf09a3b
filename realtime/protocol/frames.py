"""WebSocket frames as a server sends them (RFC 6455): whole, unmasked, uncompressed. Built once, written often."""

import json
import struct
from typing import Final

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
_FIN: Final = 0x80
_MAX_REASON_BYTES: Final = 123  # a control frame carries 125, the code takes two


def frame(opcode: int, payload: bytes) -> bytes:
    """One frame around `payload` of any size. `opcode` is `TEXT`, `BINARY` or `PONG`."""
    size = len(payload)
    if size < 126:
        return bytes((_FIN | opcode, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", _FIN | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FIN | opcode, 127, size) + payload


def close_frame(code: int, reason: str) -> bytes:
    """The frame that ends a connection. `code` is 1000..4999.

    SDKs ignore the code's meaning when the reason is empty, and take a reason that is JSON for their own format; so an
    empty one becomes "closed" and one that is JSON gets that in front. Cut to 123 bytes at a character's border.
    """
    if not 1000 <= code <= 4999:
        raise ValueError(f"close code {code} is not in 1000..4999")
    text = _cut(reason.strip()) or "closed"
    if _is_json(text):
        text = _cut(f"closed: {text}")
    return frame(CLOSE, struct.pack("!H", code) + text.encode())


def _cut(text: str) -> str:
    return text.encode(errors="replace")[:_MAX_REASON_BYTES].decode(errors="ignore")


def _is_json(text: str) -> bool:
    # The standard library's parser because it also takes NaN and Infinity: nothing that any client might parse.
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
