"""Read positions."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (Resource("PUT", f"{CONVERSATION}/read", METHODS["read.mark"], "body"),)
