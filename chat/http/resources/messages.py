"""Messages of a conversation."""

from typing import Any, Final
from urllib.parse import quote

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS


def _message_path(result: Any) -> str:
    return f"/v1/conversations/{quote(result.message.conversation)}/messages/{result.message.offset}"


RESOURCES: Final = (
    Resource("POST", f"{CONVERSATION}/messages", METHODS["message.send"], "body", status=201, location=_message_path),
    Resource("GET", f"{CONVERSATION}/messages/{{offset}}", METHODS["message.get"], "query", etag=True),
    Resource("PATCH", f"{CONVERSATION}/messages/{{offset}}", METHODS["message.edit"], "body"),
    Resource("DELETE", f"{CONVERSATION}/messages/{{offset}}", METHODS["message.delete"], "query", without=("offsets",)),
    Resource("POST", f"{CONVERSATION}/messages/delete", METHODS["message.delete"], "body", without=("offset",)),
    Resource("GET", f"{CONVERSATION}/messages/{{offset}}/versions", METHODS["message.versions"], "query", etag=True),
    Resource("PUT", f"{CONVERSATION}/messages/{{offset}}/pin", METHODS["message.pin"], "body"),
    Resource("DELETE", f"{CONVERSATION}/messages/{{offset}}/pin", METHODS["message.unpin"], "query"),
)
