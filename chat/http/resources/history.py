"""Pages of a conversation."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (
    Resource("GET", f"{CONVERSATION}/messages", METHODS["history.page"], "query", etag=True, packed=True),
    Resource("GET", f"{CONVERSATION}/pins", METHODS["history.pins"], "query", etag=True, packed=True),
)
