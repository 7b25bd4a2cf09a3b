"""The value types of the configuration: secrets that do not print themselves, durations and sizes with units.

Pure. Nothing here knows a key.
"""

import hmac
import re
from enum import Enum
from typing import Annotated, Final


class Unit(Enum):
    """What a number or a string of the configuration is, beyond its Python type."""

    DURATION = "duration"
    SIZE = "size"
    PEM = "PEM"


Seconds = Annotated[float, Unit.DURATION]
"""A duration, written `"25s"`, `"5m"`, `"1h30m"` or `"300ms"` in configuration."""

Bytes = Annotated[int, Unit.SIZE]
"""A size, written `65536`, `"64KiB"` or `"1MiB"` in configuration."""

Pem = Annotated[str, Unit.PEM]
"""A public key in PEM, or nothing."""

MASK: Final = "***"
"""What is shown of a secret."""
_DURATION_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DURATION: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_SIZE_UNITS: Final = {"": 1, "B": 1, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}
_SIZE: Final = re.compile(r"([0-9]+) ?(|b|kib|mib|gib)", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^:@/?]*):[^/?]*@")
_QUERY_PASSWORD: Final = re.compile(r"(?i)(\b(?:password|passwd|pwd|secret|token)=)[^&]*")


class Secret:
    """A string that `repr`, `str`, f-strings and logs show as `***`. `reveal()` is the only way to its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def matches(self, given: str) -> bool:
        """Compare in time that does not depend on where the two differ. An empty secret matches nothing."""
        return bool(self._text) and hmac.compare_digest(self._text.encode(), given.encode("utf-8", "surrogatepass"))

    @property
    def masked(self) -> str:
        return MASK if self._text else ""

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.masked!r})"

    def __str__(self) -> str:
        return self.masked


NO_SECRET: Final = Secret()


class Url(Secret):
    """A connection string: shown with its password hidden, the rest readable."""

    __slots__ = ()

    @property
    def masked(self) -> str:
        return _QUERY_PASSWORD.sub(rf"\1{MASK}", _URL_PASSWORD.sub(rf"\1:{MASK}@", self._text))


def parse_duration(text: str) -> float:
    """`"1h30m"` -> 5400.0. `"0"` needs no unit. Raises ValueError."""
    text = text.strip()
    if text == "0":
        return 0.0
    if _DURATION.fullmatch(text) is None:
        raise ValueError('expected a duration such as "25s", "5m", "1h30m" or "300ms"')
    return sum(float(amount) * _DURATION_UNITS_S[unit] for amount, unit in _DURATION_PART.findall(text))


def format_duration(seconds: float) -> str:
    """The shortest spelling that `parse_duration` reads back: 5400 -> `"90m"`, 0.3 -> `"300ms"`."""
    if seconds == 0:
        return "0s"
    # Days are read but not written: "720h" is how Centrifugo's users know it.
    for unit in ("h", "m", "s"):
        amount = seconds / _DURATION_UNITS_S[unit]
        if amount >= 1 and amount == int(amount):
            return f"{int(amount)}{unit}"
    return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + "ms"


def parse_size(text: str) -> int:
    """`"64KiB"` -> 65536. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError('expected a size such as 65536, "64KiB" or "1MiB"')
    return int(match[1]) * _SIZE_UNITS[match[2].upper()]


def format_size(size_bytes: int) -> str:
    """1048576 -> `"1MiB"`, 1000 -> `"1000B"`."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"
