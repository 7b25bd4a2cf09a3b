"""Payloads that come from outside: JSON text that every receiver can take, whatever it is written in."""

import re
from array import array
from itertools import accumulate
from typing import Final

import msgspec
import orjson

from realtime.protocol.codes import BAD_REQUEST, ClientError
from realtime.protocol.messages import EMPTY, Payload

# The strictest parser among clients stops at 64 levels (System.Text.Json); an event wraps a few around what it carries.
MAX_DEPTH: Final = 60
# Each costs whoever parses it, and that is every receiver: 1 MiB of nothing but brackets is a quarter of a second here.
MAX_CONTAINERS: Final = 10_000
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS: Final = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")  # one level in, one level out (-1)


def checked_payload(data: bytes, field: str) -> Payload:
    """A client's bytes as a payload, or a bad request that names `field`. Empty bytes mean absent and become `EMPTY`.

    It is valid JSON in valid UTF-8 without lone surrogates, infinite numbers, deep nesting or masses of brackets, so
    that no receiver chokes on what another client sent. Where a key is there twice receivers take the last. Line breaks
    are taken out, as a line is a message in the JSON codec.
    """
    if not data:
        return EMPTY
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_shape(data, field)
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ClientError(BAD_REQUEST, "must be JSON", field) from None
    return Payload(one_line(data))


def one_line(text: bytes) -> bytes:
    """The same JSON without line breaks between its tokens (within its strings there are none)."""
    if b"\n" not in text and b"\r" not in text:
        return text
    return msgspec.json.format(text, indent=-1)


def _check_shape(text: bytes, field: str) -> None:
    """Before it is parsed, as parsing is what the bounds are for. Of text that is not JSON any verdict will do."""
    steps = array("b", _STRING.sub(b"", text).translate(_STEPS, _NO_BRACKETS))
    if len(steps) > 2 * MAX_CONTAINERS:
        raise ClientError(BAD_REQUEST, f"must have at most {MAX_CONTAINERS} arrays and objects", field)
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise ClientError(BAD_REQUEST, f"must not nest deeper than {MAX_DEPTH}", field)
