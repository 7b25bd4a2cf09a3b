"""What Firebase takes as a message: every field there is, its type and its bounds. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

_MAX_BYTES: Final = 4096
_MAX_TTL_S: Final = 2_419_200
_TARGETS: Final = ("fid", "token", "topic", "condition")
_RESERVED: Final = re.compile(r"from|message_type|gcm.*|google.*", re.DOTALL)
_DURATION: Final = re.compile(r"(\d{1,12})(\.\d{1,9})?s")

Spec = Any
"""A type by name, a set of names of an enumeration, the spec of one element in a list, or of fields by name.

`map`: of strings to strings. `struct`: any JSON object.
"""

_LIGHTS: Final = {"color": "struct", "light_on_duration": "duration", "light_off_duration": "duration"}
_ANDROID_NOTIFICATION: Final[Mapping[str, Spec]] = {
    **dict.fromkeys(
        ("title", "body", "icon", "color", "sound", "tag", "click_action", "body_loc_key", "title_loc_key"), "string"
    ),
    **dict.fromkeys(("channel_id", "ticker", "image", "event_time"), "string"),
    **dict.fromkeys(("sticky", "local_only", "default_sound", "default_vibrate_timings"), "bool"),
    **dict.fromkeys(("default_light_settings", "bypass_proxy_notification"), "bool"),
    "body_loc_args": ["string"],
    "title_loc_args": ["string"],
    "notification_count": "int",
    "notification_priority": {
        "PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX",
    },
    "visibility": {"VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"},
    "vibrate_timings": ["duration"],
    "light_settings": _LIGHTS,
    "proxy": {"PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"},
}  # fmt: skip
_ANDROID: Final[Mapping[str, Spec]] = {
    "collapse_key": "string",
    "priority": {"NORMAL", "HIGH", "normal", "high"},
    "ttl": "duration",
    "restricted_package_name": "string",
    "data": "map",
    "notification": _ANDROID_NOTIFICATION,
    "fcm_options": {"analytics_label": "string"},
    "direct_boot_ok": "bool",
    "bandwidth_constrained_ok": "bool",
    "restricted_satellite_ok": "bool",
}
_MESSAGE: Final[Mapping[str, Spec]] = {
    **dict.fromkeys(_TARGETS, "string"),
    "name": "string",
    "data": "map",
    "notification": dict.fromkeys(("title", "body", "image"), "string"),
    "android": _ANDROID,
    "apns": {
        "headers": "map",
        "payload": "struct",
        "fcm_options": dict.fromkeys(("analytics_label", "image"), "string"),
        "live_activity_token": "string",
    },
    "webpush": {
        "headers": "map",
        "data": "map",
        "notification": "struct",
        "fcm_options": dict.fromkeys(("link", "analytics_label"), "string"),
    },
    "fcm_options": {"analytics_label": "string"},
}
_REQUEST: Final[Mapping[str, Spec]] = {"validate_only": "bool", "message": _MESSAGE}
_NAMES: Final = {"string": "TYPE_STRING", "bool": "TYPE_BOOL", "int": "TYPE_INT32"}


class Refusal(Exception):
    """`field`: which one is said to be wrong; None: Firebase says its own code, and leaves the caller guessing."""

    def __init__(self, text: str, field: str | None) -> None:
        super().__init__(text)
        self.text: Final = text
        self.field: Final = field


def check_request(body: bytes, content_type: str) -> dict[str, Any]:
    """The request. Raises Refusal."""
    if content_type != "application/json":
        raise Refusal("Invalid content type.", "")
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal("Invalid JSON payload received. Unexpected token.", "") from None
    _check(asked, _REQUEST, "")
    message: dict[str, Any] | None = asked.get("message")
    if message is None:
        raise Refusal("Invalid value at 'message': it is required.", "message")
    _check_targets(message)
    _check_keys(message.get("data", {}))
    _check_ttl(message.get("android", {}))
    _check_size(message)
    return dict(asked)


def _check(value: Any, spec: Spec, path: str) -> None:
    if isinstance(spec, set):
        if value not in spec:
            raise Refusal(f"Invalid value at '{path}' (enum), {orjson.dumps(value).decode()}", path)
    elif isinstance(spec, list):
        if not isinstance(value, list):
            raise Refusal(f"Proto field is not repeating, cannot start list. At '{path}'", path)
        for number, one in enumerate(value):
            _check(one, spec[0], f"{path}[{number}]")
    elif isinstance(spec, str):
        _check_scalar(value, spec, path)
    elif not isinstance(value, dict):
        raise Refusal(f"Invalid value at '{path}': an object is expected", path)
    else:
        for name, inner in value.items():
            if name not in spec:
                at = f" at '{path}'" if path else ""
                raise Refusal(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.', path)
            _check(inner, spec[name], f"{path}.{name}" if path else name)


def _check_scalar(value: Any, spec: str, path: str) -> None:
    match spec:
        case "map":
            if not isinstance(value, dict):
                raise Refusal(f"Invalid value at '{path}': an object is expected", path)
            for number, one in enumerate(value.values()):
                _check_scalar(one, "string", f"{path}[{number}].value")
        case "struct":
            if not isinstance(value, dict):
                raise Refusal(f"Invalid value at '{path}' (type.googleapis.com/google.protobuf.Struct)", path)
        case "duration":
            if not isinstance(value, str) or not _DURATION.fullmatch(value):
                raise Refusal(
                    f"Invalid value at '{path}' (type.googleapis.com/google.protobuf.Duration), "
                    "Illegal duration format; duration must end with 's'",
                    path,
                )
        case _:
            wanted = {"string": str, "bool": bool, "int": int}[spec]
            if type(value) is not wanted:
                raise Refusal(f"Invalid value at '{path}' ({_NAMES[spec]}), {orjson.dumps(value).decode()}", path)


def _check_targets(message: Mapping[str, Any]) -> None:
    given = [name for name in _TARGETS if name in message]
    if len(given) > 1:
        raise Refusal(
            f"Invalid value at 'message' (oneof), oneof field 'target' is already set. Cannot set '{given[1]}'",
            "message",
        )
    if not given:
        raise Refusal("Recipient of the message is not set.", None)


def _check_keys(data: Mapping[str, str]) -> None:
    for name in data:
        if _RESERVED.fullmatch(name):
            raise Refusal(f"Invalid data payload key: {name}", "message.data")


def _check_ttl(android: Mapping[str, Any]) -> None:
    found = _DURATION.fullmatch(android.get("ttl", "0s"))
    if found and int(found[1]) > _MAX_TTL_S:
        raise Refusal("Invalid TTL: it must be between 0 and 2419200 seconds.", "message.android.ttl")


def _check_size(message: Mapping[str, Any]) -> None:
    """Keys and values of the data, and the texts of the notification. What is too big has no field to blame."""
    counted = list(message.get("data", {}).items()) + list(message.get("notification", {}).items())
    size = sum(len(name.encode()) + len(value.encode()) for name, value in counted)
    if size > _MAX_BYTES:
        raise Refusal("Android message is too big", None)
