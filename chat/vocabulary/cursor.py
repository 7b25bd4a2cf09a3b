"""The opaque places from which lists are continued (`next` -> `before`). Pure."""

import base64
import binascii
import re
from typing import Final

from realtime.protocol.codes import BAD_REQUEST, ClientError

_CONVERSATION: Final = r"[a-z2-7]{26}(?:~[0-9]{1,13})?"
_PLACE: Final = re.compile(rf"([0-9]{{1,15}})\.({_CONVERSATION})", re.ASCII)
_MENTION_PLACE: Final = re.compile(rf"([0-9]{{1,15}})\.({_CONVERSATION})\.([0-9]{{1,13}})", re.ASCII)
_PINS_PLACE: Final = re.compile(r"([0-9]{1,6})\.([0-9]{1,14})", re.ASCII)
_SYNC_PLACE: Final = re.compile(rf"([0-9]{{1,15}})\.({_CONVERSATION})\.([0-9]{{1,16}})", re.ASCII)


def encode_cursor(activity_at: int, conversation: str) -> str:
    return _encode(f"{activity_at}.{conversation}")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """(activity_at, conversation). Raises ClientError on anything that `encode_cursor` did not make."""
    place = _decode(cursor, _PLACE)
    return int(place[1]), place[2]


def encode_pins_cursor(index: int, offset: int) -> str:
    """The place of a pin among all of them, and which message it is."""
    return _encode(f"{index}.{offset}")


def decode_pins_cursor(cursor: str) -> tuple[int, int]:
    """(index, offset). Raises ClientError on anything that `encode_pins_cursor` did not make."""
    place = _decode(cursor, _PINS_PLACE)
    return int(place[1]), int(place[2])


def encode_sync_cursor(activity_at: int, conversation: str, revision: int) -> str:
    """A sync carries the revision of its first reply along: what happens between the replies comes with the next."""
    return _encode(f"{activity_at}.{conversation}.{revision}")


def decode_sync_cursor(cursor: str) -> tuple[int, str, int]:
    """(activity_at, conversation, revision). Raises ClientError on anything that `encode_sync_cursor` did not make."""
    place = _decode(cursor, _SYNC_PLACE)
    return int(place[1]), place[2], int(place[3])


def encode_mention_cursor(at: int, conversation: str, offset: int) -> str:
    return _encode(f"{at}.{conversation}.{offset}")


def decode_mention_cursor(cursor: str) -> tuple[int, str, int]:
    """(at, conversation, offset). Raises ClientError on anything that `encode_mention_cursor` did not make."""
    place = _decode(cursor, _MENTION_PLACE)
    return int(place[1]), place[2], int(place[3])


def _encode(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode(cursor: str, pattern: re.Pattern[str]) -> re.Match[str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = pattern.fullmatch(base64.urlsafe_b64decode(padded.encode("ascii")).decode("ascii"))
    except (ValueError, binascii.Error):
        place = None
    if place is None:
        raise ClientError(BAD_REQUEST, "must be the `next` of an earlier page", "before")
    return place
