"""Payloads as the server API has them: JSON in the body, or the same as base64. Pure."""

import base64
import binascii

from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import Payload
from realtime.protocol.payload import checked_payload


def either(data: Payload, b64: str, field: str) -> Payload:
    """The payload of `field`, EMPTY if neither is given. Raises ClientError for what is not base64 of JSON."""
    if not b64:
        return data  # checked with the body that it came in
    try:
        decoded = base64.b64decode(b64, validate=True)
    except (binascii.Error, ValueError):
        raise ClientError(codes.BAD_REQUEST, "must be base64", f"b64{field}") from None
    return checked_payload(decoded, f"b64{field}")
