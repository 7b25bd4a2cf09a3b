"""What can go wrong with APNs, to be put into a script: one for the next request, or for a number of them."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class NeverAnswer:
    """The request is read, and that is all."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The answer waits until `release`, which may be after the client's deadline, and in another order."""


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM instead of an answer. 7 is REFUSED_STREAM, 2 is INTERNAL_ERROR. `after_headers`: of the answer."""

    code: int = 7
    after_headers: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """This answer, whatever the rules say; nothing is delivered. `pieces`: the body in so many DATA frames, each in a
    packet of its own.
    """

    status: int
    reason: str = ""
    timestamp: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class Pieces:
    """The answer that the rules say, its body in so many DATA frames."""

    pieces: int = 2


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is gone. `at`: when the request's headers have come, when the request has come whole, or when the
    headers of the answer have gone.
    """

    at: str = "headers"


@dataclass(frozen=True, slots=True)
class Leave:
    """GOAWAY, with this request as the last one, or the one before it; what is covered is answered as usual."""

    covers: bool = True
    code: int = 0
    close: bool = False
    """The connection is closed at once, before anything that is covered was answered."""


Fault: TypeAlias = NeverAnswer | Hold | Reset | Answer | Pieces | Cut | Leave
