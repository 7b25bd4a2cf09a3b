"""Bans and mutes of a conversation."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (
    Resource("GET", f"{CONVERSATION}/bans", METHODS["conversation.bans"], "query", etag=True),
    Resource("PUT", f"{CONVERSATION}/bans/{{user}}", METHODS["conversation.ban"], "body"),
    Resource("DELETE", f"{CONVERSATION}/bans/{{user}}", METHODS["conversation.unban"], "query"),
    Resource("PUT", f"{CONVERSATION}/mutes/{{user}}", METHODS["conversation.mute"], "body"),
    Resource("DELETE", f"{CONVERSATION}/mutes/{{user}}", METHODS["conversation.unmute"], "query"),
)
