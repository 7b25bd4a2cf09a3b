"""Reactions to a message."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

_REACTIONS: Final = f"{CONVERSATION}/messages/{{offset}}/reactions"

RESOURCES: Final = (
    Resource("GET", _REACTIONS, METHODS["message.reactions"], "query", etag=True),
    Resource("PUT", f"{_REACTIONS}/{{reaction}}", METHODS["message.react"], "body"),
    Resource("DELETE", f"{_REACTIONS}/{{reaction}}", METHODS["message.unreact"], "query"),
)
