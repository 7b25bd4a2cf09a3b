"""Invites."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

_INVITE: Final = "/v1/invites/{code}"

RESOURCES: Final = (
    Resource("POST", f"{CONVERSATION}/invites", METHODS["invite.create"], "body", status=201),
    Resource("GET", f"{CONVERSATION}/invites", METHODS["invite.list"], "query", etag=True),
    Resource("DELETE", f"{CONVERSATION}/invites/{{invite}}", METHODS["invite.revoke"], "query"),
    Resource("GET", _INVITE, METHODS["invite.get"], "query", etag=True),
    Resource("POST", f"{_INVITE}/accept", METHODS["invite.accept"], "body"),
)
