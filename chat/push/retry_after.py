"""For how long somebody wants to be left alone: the header Retry-After, in seconds or as a date. Pure."""

from email.utils import parsedate_to_datetime
from typing import Final

MAX_S: Final = 24 * 3600.0
"""Nobody is left alone for longer: a notification is of no use by then."""


def retry_after_s(value: str | None, *, now_s: float) -> float | None:
    """Seconds from `now_s` (wall clock), between 0 and MAX_S; None for no header, or one that cannot be read."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # More digits than fit are still "for long".
        return min(float(text[:12]), MAX_S)
    try:
        at = parsedate_to_datetime(text)
        return min(max(at.timestamp() - now_s, 0.0), MAX_S)
    except (ValueError, OverflowError, OSError):
        return None
