"""How long a server asks to be left alone: `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3). Pure."""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_S: Final = 24 * 3600.0
"""Nobody has to wait longer, whatever is asked for."""

_DIGITS: Final = 12


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds from `now_s` (wall clock), 0 to LONGEST_S. None when nothing is asked for that can be understood.

    The name is looked up as the mapping does, so case counts where it is a dict.
    """
    text = headers.get("Retry-After", headers.get("retry-after", "")).strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:_DIGITS]), LONGEST_S)
    try:
        at = parsedate_to_datetime(text)
        after_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_s
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return min(max(after_s, 0.0), LONGEST_S) if math.isfinite(after_s) else None
