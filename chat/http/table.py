"""The REST resources as data: what serves them, and what a description of the API is generated from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from chat.http.binding import Parts, Place, split
from chat.methods import METHODS, Method


@dataclass(frozen=True, slots=True)
class Resource:
    """One verb on one path, and the method that it stands for.

    Fields of the method's request are named in the path; `caller` is one that is the caller's own id (empty: none). The
    others are in the query or in the body. `status` is that of success; 201 becomes 200 where the result says
    `duplicate`. `etag`: an unchanged answer is 304. `location` gives the path of what was created.
    """

    verb: str
    path: str
    method: Method
    place: Place
    status: int = 200
    caller: str = ""
    etag: bool = False
    location: Callable[[Any], str] | None = None

    @property
    def path_fields(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def parts(self) -> Parts:
        preset = (self.caller,) if self.caller else ()
        return split(self.method.request, path=self.path_fields, preset=preset, place=self.place)


def _conversation_path(result: Any) -> str:
    return f"/v1/conversations/{result.conversation.id}"


def _message_path(result: Any) -> str:
    return f"/v1/conversations/{quote(result.message.conversation)}/messages/{result.message.offset}"


_CONVERSATION: Final = "/v1/conversations/{conversation}"

RESOURCES: Final = (
    Resource("GET", "/v1/conversations", METHODS["conversation.list"], "query", etag=True),
    Resource(
        "POST",
        "/v1/conversations",
        METHODS["conversation.create"],
        "body",
        status=201,
        location=_conversation_path,
    ),
    Resource("GET", _CONVERSATION, METHODS["conversation.get"], "query", etag=True),
    Resource("PATCH", _CONVERSATION, METHODS["conversation.update"], "body"),
    Resource("POST", f"{_CONVERSATION}/join", METHODS["conversation.join"], "body"),
    Resource("POST", f"{_CONVERSATION}/leave", METHODS["conversation.leave"], "body"),
    Resource("GET", f"{_CONVERSATION}/members", METHODS["conversation.members"], "query", etag=True),
    Resource("POST", f"{_CONVERSATION}/members", METHODS["conversation.add_members"], "body"),
    Resource("PATCH", f"{_CONVERSATION}/members/{{user}}", METHODS["conversation.set_role"], "body"),
    Resource("DELETE", f"{_CONVERSATION}/members/{{user}}", METHODS["conversation.remove_member"], "query"),
    Resource("GET", f"{_CONVERSATION}/messages", METHODS["history.page"], "query", etag=True),
    Resource("POST", f"{_CONVERSATION}/messages", METHODS["message.send"], "body", status=201, location=_message_path),
    Resource("GET", f"{_CONVERSATION}/messages/{{offset}}", METHODS["message.get"], "query", etag=True),
    Resource("PUT", f"{_CONVERSATION}/read", METHODS["read.mark"], "body"),
    Resource("POST", f"{_CONVERSATION}/typing", METHODS["typing.start"], "body"),
    Resource("DELETE", f"{_CONVERSATION}/typing", METHODS["typing.stop"], "query"),
    Resource("POST", "/v1/sync", METHODS["sync"], "body"),
    Resource("GET", "/v1/me", METHODS["user.get"], "query", caller="user", etag=True),
    Resource("PATCH", "/v1/me", METHODS["user.update"], "body"),
    Resource("GET", "/v1/users/{user}", METHODS["user.get"], "query", etag=True),
    Resource("POST", "/v1/presence", METHODS["presence.get"], "body"),
)
