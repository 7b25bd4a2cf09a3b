"""Positions, what is unread, and mentions."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (
    Resource("PUT", f"{CONVERSATION}/read", METHODS["read.mark"], "body"),
    Resource("PUT", f"{CONVERSATION}/unread", METHODS["read.mark_unread"], "body"),
    Resource("PUT", f"{CONVERSATION}/delivered", METHODS["delivered.mark"], "body"),
    Resource("GET", f"{CONVERSATION}/messages/{{offset}}/seen_by", METHODS["message.seen_by"], "query", etag=True),
    Resource("GET", "/v1/me/unread", METHODS["read.totals"], "query", etag=True),
    Resource("GET", "/v1/me/mentions", METHODS["mention.list"], "query", etag=True),
)
