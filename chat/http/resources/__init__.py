"""The REST resources as data, a table for each area: what serves them, and what a description is generated from."""

from typing import Final

from chat.http.resources import (
    blocks,
    conversations,
    history,
    invites,
    members,
    messages,
    moderation,
    people,
    reading,
    syncing,
)
from chat.http.resources.resource import Resource

__all__ = ["RESOURCES", "Resource"]

_AREAS: Final = (messages, conversations, members, moderation, invites, history, reading, people, blocks, syncing)

RESOURCES: Final = tuple(resource for area in _AREAS for resource in area.RESOURCES)
