"""Payloads as the server API has them: JSON in the body, or the same as base64. Pure."""

import base64
import binascii

from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import Payload
from realtime.protocol.payload import checked_payload


def either(data: Payload, b64: str, field: str, *, max_bytes: int) -> Payload:
    """The payload of `field`, EMPTY if neither is given. Raises ClientError for what is too large or not base64 of
    JSON.
    """
    if b64:
        field = f"b64{field}"
        try:
            data = checked_payload(base64.b64decode(b64, validate=True), field)
        except (binascii.Error, ValueError):
            raise ClientError(codes.BAD_REQUEST, "must be base64", field) from None
    # Without b64 it was checked with the body that it came in.
    if len(bytes(data)) > max_bytes:
        raise ClientError(codes.BAD_REQUEST, f"must have at most {max_bytes} bytes", field)
    return data
