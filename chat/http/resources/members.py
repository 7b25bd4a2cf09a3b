"""Members of a conversation."""

from typing import Final

from chat.http.resources.resource import CONVERSATION, Resource
from chat.methods import METHODS

RESOURCES: Final = (
    Resource("POST", f"{CONVERSATION}/join", METHODS["conversation.join"], "body"),
    Resource("POST", f"{CONVERSATION}/leave", METHODS["conversation.leave"], "body"),
    Resource("GET", f"{CONVERSATION}/members", METHODS["conversation.members"], "query", etag=True, packed=True),
    Resource("POST", f"{CONVERSATION}/members", METHODS["conversation.add_members"], "body"),
    Resource("PATCH", f"{CONVERSATION}/members/{{user}}", METHODS["conversation.set_role"], "body"),
    Resource("DELETE", f"{CONVERSATION}/members/{{user}}", METHODS["conversation.remove_member"], "query"),
)
