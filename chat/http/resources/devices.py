"""Devices, what may ring, and what is on screen."""

from typing import Final

from chat.http.resources.resource import Resource
from chat.methods import METHODS
from chat.vocabulary.devices import PushPreferencesChange

_DEVICES: Final = "/v1/devices"
_PREFERENCES: Final = "/v1/push/preferences"

RESOURCES: Final = (
    Resource("PUT", f"{_DEVICES}/{{device}}", METHODS["device.register"], "body"),
    Resource("DELETE", f"{_DEVICES}/{{device}}", METHODS["device.unregister"], "query"),
    Resource("GET", _DEVICES, METHODS["device.list"], "query", etag=True),
    Resource("PUT", f"{_DEVICES}/{{device}}/state", METHODS["client.state"], "body"),
    Resource("GET", "/v1/push/apps/{app}/vapid-key", METHODS["push.vapid_key"], "query", etag=True),
    Resource("PUT", _PREFERENCES, METHODS["push.preferences"], "body"),
    Resource(
        "GET",
        _PREFERENCES,
        METHODS["push.preferences"],
        "query",
        etag=True,
        without=PushPreferencesChange.__struct_fields__,
    ),
)
