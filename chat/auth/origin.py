"""Whether a web page may connect, by the Origin its browser states. Pure.

Browsers send cookies and reach private addresses wherever the page came from; the Origin is what a page cannot
lie about. Native apps send none, and have no cookies of ours either: they are let through to show their token.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._*-]+)(?::([0-9]{1,5}|\*))?")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_ANY_LABELS: Final = "[a-z0-9._-]+"
_ANY_PORT: Final = "(?::[0-9]+)?"


class OriginCheck:
    """The configured origins, compiled. `*` in a host stands for labels, as a port for any port."""

    __slots__ = ("_any", "_patterns")

    def __init__(self, allowed: Iterable[str]) -> None:
        """`allowed`: `https://app.example.com`, `https://*.example.com`, `http://localhost:*`, or `*` for every one."""
        patterns = {pattern.lower().rstrip("/") for pattern in allowed}
        self._any: Final = "*" in patterns
        self._patterns: Final = [_compile(origin) for pattern in sorted(patterns) if (origin := _parse(pattern))]

    def allows(self, origins: Sequence[str], *, host: str) -> bool:
        """Whether a request may pass. `origins`: all its Origin headers, `host`: its Host header.

        None is a native app. Two are nobody's. A page of this very server (same host and port) needs no configuration.
        """
        if not origins:
            return True
        if len(origins) > 1:
            return False
        if self._any:
            return True
        origin = _parse(origins[0].lower())
        if origin is None or "*" in origins[0]:
            return False
        own = _parse(f"{origin.scheme}://{host.lower()}") if origin.scheme in _DEFAULT_PORTS else None
        return origin == own or any(pattern.fullmatch(str(origin)) for pattern in self._patterns)


@dataclass(frozen=True, slots=True)
class _Origin:
    """In lower case; `port` is empty where it is the scheme's own."""

    scheme: str
    host: str
    port: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}" if self.port else f"{self.scheme}://{self.host}"


def _parse(text: str) -> _Origin | None:
    """None for what is no origin, the `null` of sandboxed pages included."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    scheme, host, port = match[1], match[2], match[3] or ""
    return _Origin(scheme, host, "" if port == _DEFAULT_PORTS.get(scheme) else port)


def _compile(pattern: _Origin) -> re.Pattern[str]:
    host = re.escape(pattern.host).replace(r"\*", _ANY_LABELS)
    port = _ANY_PORT if pattern.port == "*" else re.escape(f":{pattern.port}" if pattern.port else "")
    return re.compile(f"{re.escape(pattern.scheme)}://{host}{port}")
