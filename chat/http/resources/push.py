"""Why a device rang, or did not."""

from typing import Final

from chat.http.resources.resource import Resource
from chat.methods import METHODS

RESOURCES: Final = (
    Resource("GET", "/v1/push/trace/{conversation}/{offset}", METHODS["push.trace"], "query"),
    Resource("POST", "/v1/push/ack", METHODS["push.ack"], "body"),
    Resource("POST", "/v1/devices/{device}/test", METHODS["push.test"], "body"),
)
