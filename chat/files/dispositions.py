"""How a browser is told to treat a file. Pure."""

from typing import Final
from urllib.parse import quote

from chat.files.types import INLINE, plain

_ATTR_CHAR: Final = "!#$&+-.^_`|~"


def disposition(name: str, content_type: str) -> str:
    """The header Content-Disposition (RFC 6266): only what is harmless is shown in place."""
    kind = "inline" if plain(content_type) in INLINE else "attachment"
    ascii_name = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name)
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"


def served_type(content_type: str) -> str:
    """The header Content-Type: of what is not shown in place it does not matter, so that it cannot mislead."""
    return content_type if plain(content_type) in INLINE else "application/octet-stream"
