"""Users, presence and typing."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (
    Resource("POST", f"{CONVERSATION}/typing", METHODS["typing.start"], "body"),
    Resource("DELETE", f"{CONVERSATION}/typing", METHODS["typing.stop"], "query"),
    Resource("GET", "/v1/me", METHODS["user.get"], "query", caller="user", etag=True),
    Resource("PATCH", "/v1/me", METHODS["user.update"], "body"),
    Resource("GET", "/v1/users/{user}", METHODS["user.get"], "query", etag=True),
    Resource("POST", "/v1/presence", METHODS["presence.get"], "body"),
)
