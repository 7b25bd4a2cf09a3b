"""The REST resources as data, a table for each area: what serves them, and what a description is generated from."""

from typing import Final

from chat.http.resources import (
    blocks,
    conversations,
    devices,
    history,
    invites,
    members,
    messages,
    moderation,
    people,
    push,
    reactions,
    reading,
    searching,
    syncing,
    threads,
    uploads,
)
from chat.http.resources.resource import Resource

__all__ = ["RESOURCES", "Resource"]

# Routes are tried in this order: first what is asked for most.
_AREAS: Final = (
    history,
    messages,
    reactions,
    conversations,
    members,
    moderation,
    invites,
    threads,
    searching,
    reading,
    people,
    blocks,
    syncing,
    uploads,
    devices,
    push,
)

RESOURCES: Final = tuple(resource for area in _AREAS for resource in area.RESOURCES)
