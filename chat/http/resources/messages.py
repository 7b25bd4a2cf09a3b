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
)
