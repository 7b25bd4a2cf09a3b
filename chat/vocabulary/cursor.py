"""The opaque places from which lists are continued (`next` -> `before`). Pure."""

import base64
import binascii
import re
from typing import Final

from realtime.protocol.codes import BAD_REQUEST, ClientError

_PLACE: Final = re.compile(r"([0-9]{1,15})\.([a-z2-7]{26}(?:~[0-9]{1,13})?)", re.ASCII)


def encode_cursor(activity_at: int, conversation: str) -> str:
    return base64.urlsafe_b64encode(f"{activity_at}.{conversation}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """(activity_at, conversation). Raises ClientError on anything that `encode_cursor` did not make."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = _PLACE.fullmatch(base64.urlsafe_b64decode(padded.encode("ascii")).decode("ascii"))
    except (ValueError, binascii.Error):
        place = None
    if place is None:
        raise ClientError(BAD_REQUEST, "must be the `next` of an earlier page", "before")
    return int(place[1]), place[2]
