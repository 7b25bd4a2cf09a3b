"""JSON becomes the parameters of a method, or an error that names field and rule."""

from typing import Any

import msgspec

from chat.methods.table import METHODS
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import Payload


class Decoder:
    """Turns JSON into the parameters of a method, or says which field breaks which rule."""

    def __init__(self) -> None:
        self._decoders = {name: msgspec.json.Decoder(method.request) for name, method in METHODS.items()}

    def decode(self, name: str, data: Payload | bytes) -> Any:
        """Raises ClientError. Absent data is an empty object."""
        try:
            return self._decoders[name].decode(data or b"{}")
        except msgspec.ValidationError as error:
            raise invalid(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ClientError(codes.BAD_REQUEST, "must be a JSON object") from None


def invalid(error: msgspec.ValidationError) -> ClientError:
    """`Expected `int` >= 0 - at `$.limit`` becomes a field and a rule.

    What is wrong with a key (`… - at `key` in `$.cursors``) is wrong with what has it.
    """
    # From the end: before it, the value of a client may be quoted.
    rule, _, path = str(error).rpartition(" - at `")
    if not rule:
        rule, path = path, ""
    field = path.removeprefix("key` in `").rstrip("`").removeprefix("$").removeprefix(".")
    if rule.startswith("Object missing required field `"):
        missing = rule.removeprefix("Object missing required field `").rstrip("`")
        return ClientError(codes.BAD_REQUEST, "is required", f"{field}.{missing}" if field else missing)
    if rule.startswith("Invalid enum value "):
        return ClientError(codes.BAD_REQUEST, "is none of the values that there are", field)
    rule = rule.replace(r"$(?!\\n)'", "$'")  # what the end of a pattern is for Python, as others write it
    return ClientError(codes.BAD_REQUEST, rule[:1].lower() + rule[1:], field)
