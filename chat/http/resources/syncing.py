"""What changed since."""

from typing import Final

from chat.http.resources.resource import Resource
from chat.methods import METHODS

RESOURCES: Final = (Resource("POST", "/v1/sync", METHODS["sync"], "body"),)
