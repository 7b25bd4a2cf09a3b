"""What a file is, by its content, and whether that is what was announced. Pure.

Media types are compared without their synonyms. A container such as MP4 holds sound as well as pictures, and a ZIP may
be a document: there any type of the family is right. Text is text whatever it says: it is never shown by a browser.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

import puremagic

HEAD_BYTES: Final = 64 * 1024
"""How much of a file is looked at."""

ANYTHING: Final = "application/octet-stream"

INLINE: Final = frozenset(
    {
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"),
        *("audio/mpeg", "audio/mp4", "audio/ogg", "audio/webm", "audio/wav", "audio/flac", "audio/aac"),
        *("video/mp4", "video/webm", "video/ogg", "video/quicktime"),
    }
)
"""What a browser may show or play at our own address: it runs nothing. Everything else is downloaded."""

_SYNONYMS: Final = {
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "audio/mp3": "audio/mpeg",
    "audio/opus": "audio/ogg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/x-wav": "audio/wav",
    "image/heif": "image/heic",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "text/xml": "application/xml",
    "video/avi": "video/x-msvideo",
    "video/x-m4v": "video/mp4",
}

_MP4: Final = frozenset({"video/mp4", "audio/mp4", "video/quicktime", "video/3gpp", "audio/3gpp", "video/3gpp2"})
_WEBM: Final = frozenset({"video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska", "application/x-matroska"})
_OGG: Final = frozenset({"application/ogg", "audio/ogg", "video/ogg"})
_FAMILIES: Final = (_MP4, _WEBM, _OGG)

_TEXTS: Final = ("text/*", "application/json", "application/xml", "application/*+json", "application/*+xml")
_TEXTS_MORE: Final = (
    "application/javascript",
    "application/yaml",
    "application/x-ndjson",
    "application/x-sh",
    "image/svg+xml",
)


def plain(content_type: str) -> str:
    """A type by the one name that it has here."""
    return _SYNONYMS.get(content_type, content_type)


def found_types(head: bytes) -> frozenset[str]:
    """What the first bytes of a file may be the beginning of; empty when they are nothing that is known."""
    try:
        matches = [one for one in puremagic.magic_string(head) if one.mime_type]
    except (puremagic.PureError, ValueError):
        return frozenset()
    # Of a short mark such as "RIFF" many types begin with; the longest one that fits says more.
    best = max((one.confidence for one in matches), default=0.0)
    found = {plain(one.mime_type) for one in matches if one.confidence >= best - 0.01}
    for family in _FAMILIES:
        if found & family:
            found |= family
    return frozenset(found)


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are text in UTF-8, the last character perhaps cut off."""
    if b"\x00" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and error.reason == "unexpected end of data"
    return True


def refusal(declared: str, head: bytes, allowed: Sequence[str]) -> str | None:
    """Why a file that begins so is not taken as `declared`; None: it is."""
    found = found_types(head)
    declared = plain(declared)
    text = is_text(head)
    if declared == ANYTHING:
        # It claims nothing, but it may not be a way around the rules either.
        if found and not text and not any(fnmatchcase(one, glob) for one in found for glob in allowed):
            return f"its content is {_named(found)}, which is not taken here"
        return None
    if declared in found or (text and _is_texty(declared, head)):
        return None
    actual = _named(found) if found and not text else "text" if text else "nothing that is known"
    return f"its content is {actual}, announced was {declared}"


def _is_texty(declared: str, head: bytes) -> bool:
    if declared == "image/svg+xml":
        return b"<svg" in head
    return any(fnmatchcase(declared, glob) for glob in (*_TEXTS, *_TEXTS_MORE))


def _named(found: frozenset[str]) -> str:
    return " or ".join(sorted(found)[:3])
