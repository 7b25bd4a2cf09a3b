"""What strangers may write into the log: text without what moves a cursor, ends a line or cannot be encoded. Pure."""

import re
from typing import Final

from structlog.typing import EventDict, WrappedLogger

MAX_VALUE_CHARS: Final = 1000
"""Longer values of an event are cut off. Tracebacks are not: they are ours."""

# C0 and C1 controls, what is invisible or changes the direction of a line, line and paragraph separators, halves of
# surrogate pairs (headers that are not UTF-8 come as such).
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_OURS: Final = frozenset({"exception", "stack"})


def printable(text: str, *, lines: bool = False) -> str:
    """The text with everything else written as an escape. `lines`: it may have lines, as a traceback has."""
    return _UNSAFE.sub(lambda match: match[0] if lines and match[0] in "\n\t" else _escape(match[0]), text)


def only_printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor: every text of an event is printable, and short but for tracebacks."""
    for name, value in event.items():
        if not isinstance(value, str):
            continue
        if name in _OURS:
            event[name] = printable(value, lines=True)
        elif len(value) > MAX_VALUE_CHARS:
            event[name] = f"{printable(value[:MAX_VALUE_CHARS])}… ({len(value)} characters)"
        else:
            event[name] = printable(value)
    return event


def escaped(line: str) -> str:
    """JSON with what is not printable within its strings, wherever that is, in JSON's own escapes."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
