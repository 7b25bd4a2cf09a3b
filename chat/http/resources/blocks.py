"""Whom the caller blocks."""

from typing import Final

from chat.http.resources.resource import Resource
from chat.methods import METHODS

_BLOCKED: Final = "/v1/me/blocked"

RESOURCES: Final = (
    Resource("GET", _BLOCKED, METHODS["user.blocked"], "query", etag=True),
    Resource("PUT", f"{_BLOCKED}/{{user}}", METHODS["user.block"], "body"),
    Resource("DELETE", f"{_BLOCKED}/{{user}}", METHODS["user.unblock"], "query"),
)
