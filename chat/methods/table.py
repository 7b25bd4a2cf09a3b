"""All methods by name. RPC, REST and the descriptions read this table."""

from collections.abc import Mapping
from typing import Final

from chat.methods import (
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
from chat.methods.method import Method
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

_AREAS: Final = (
    messages,
    reactions,
    conversations,
    members,
    moderation,
    invites,
    threads,
    history,
    searching,
    reading,
    people,
    blocks,
    syncing,
    uploads,
    devices,
    push,
)

METHODS: Final[Mapping[str, Method]] = {method.name: method for area in _AREAS for method in area.METHODS}


def method(name: str) -> Method:
    """The method of this name. Raises ClientError where there is none."""
    found = METHODS.get(name)
    if found is None:
        raise ClientError(codes.NOT_AVAILABLE, f"no method {name[:64]!r}", "method")
    return found
