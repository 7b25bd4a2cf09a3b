"""Followed threads."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (
    Resource("GET", "/v1/threads", METHODS["thread.list"], "query", etag=True),
    Resource("PUT", f"{CONVERSATION}/follow", METHODS["thread.follow"], "body"),
    Resource("DELETE", f"{CONVERSATION}/follow", METHODS["thread.unfollow"], "query"),
)
