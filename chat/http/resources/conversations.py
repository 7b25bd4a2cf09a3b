"""Conversations."""

from typing import Any, Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS


def _conversation_path(result: Any) -> str:
    return f"/v1/conversations/{result.conversation.id}"


RESOURCES: Final = (
    Resource("GET", "/v1/conversations", METHODS["conversation.list"], "query", etag=True),
    Resource(
        "POST",
        "/v1/conversations",
        METHODS["conversation.create"],
        "body",
        status=201,
        location=_conversation_path,
    ),
    Resource("GET", CONVERSATION, METHODS["conversation.get"], "query", etag=True),
    Resource("PATCH", CONVERSATION, METHODS["conversation.update"], "body"),
    Resource("PATCH", f"{CONVERSATION}/preferences", METHODS["conversation.set_preferences"], "body"),
)
