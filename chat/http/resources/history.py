"""Pages of a conversation."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (Resource("GET", f"{CONVERSATION}/messages", METHODS["history.page"], "query", etag=True),)
