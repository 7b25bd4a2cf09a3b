"""Finding messages of a conversation."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (Resource("GET", f"{CONVERSATION}/search", METHODS["history.search"], "query"),)
