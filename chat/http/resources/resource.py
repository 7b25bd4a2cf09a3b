"""What a REST resource is: one verb on one path, and the method that it stands for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chat.http.binding import Parts, Place, split
from chat.methods import Method

CONVERSATION: Final = "/v1/conversations/{conversation}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One verb on one path, and the method that it stands for.

    Fields of the method's request are named in the path; `caller` is one that is the caller's own id (empty: none). The
    others are in the query or in the body, but for those that it does `without`: they stay at their defaults. `status`
    is that of success; 201 becomes 200 where the result says `duplicate`. `etag`: an unchanged answer is 304.
    `packed`: it may be compressed, as those who could have chosen some of it may read all of it (see `answers`).
    `location` gives the path of what was created.
    """

    verb: str
    path: str
    method: Method
    place: Place
    status: int = 200
    caller: str = ""
    etag: bool = False
    packed: bool = False
    location: Callable[[Any], str] | None = None
    without: tuple[str, ...] = ()

    @property
    def path_fields(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def parts(self) -> Parts:
        preset = (self.caller, *self.without) if self.caller else self.without
        return split(self.method.request, path=self.path_fields, preset=preset, place=self.place)
