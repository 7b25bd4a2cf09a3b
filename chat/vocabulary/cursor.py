"""The opaque places from which lists are continued (`next` -> `before`). Pure."""

import base64
import binascii

from realtime.protocol.codes import BAD_REQUEST, ClientError


def encode_cursor(activity_at: int, conversation: str) -> str:
    return base64.urlsafe_b64encode(f"{activity_at}.{conversation}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """(activity_at, conversation). Raises ClientError on anything that `encode_cursor` did not make."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        activity_at, _, conversation = base64.urlsafe_b64decode(padded.encode()).decode("ascii").partition(".")
        return int(activity_at), conversation
    except (ValueError, binascii.Error):
        raise ClientError(BAD_REQUEST, "must be the `next` of an earlier page", "before") from None
