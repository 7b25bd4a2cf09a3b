"""One request to APNs on its way, and the three ways in which it ends."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hpack import HeaderTuple


class Carrier(Protocol):
    """The connection that an exchange is on."""

    def drain(self) -> None:
        """Take nothing more, and close when what is open has ended."""

    def abandon(self, exchange: "Exchange", *, missed: bool) -> None:
        """Take back a request that has not ended. `missed`: its deadline has passed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What APNs said; of the body the beginning. `connection` is where it came from."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    connection: Carrier = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """It certainly had no effect. `after_s`: there is no use in asking again before."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """It may have had its effect."""

    reason: str


Outcome: TypeAlias = Reply | Unprocessed | Unanswered


class Exchange:
    """A request, what came of it so far, and in `done` its outcome."""

    __slots__ = (
        "body",
        "connection",
        "done",
        "headers",
        "reply",
        "reply_headers",
        "sent_bytes",
        "status",
        "stream_id",
    )

    def __init__(self, headers: Sequence[HeaderTuple], body: bytes, done: "asyncio.Future[Outcome]") -> None:
        """`headers`: names in lower case, pseudo-headers first. `body` must not be empty."""
        self.headers = headers
        self.body = body
        self.done = done
        self.connection: Carrier | None = None
        self.stream_id = 0
        self.sent_bytes = 0
        self.status = 0
        self.reply_headers: Mapping[str, str] = {}
        self.reply = bytearray()

    def end(self, outcome: Outcome) -> None:
        """The first outcome counts."""
        if not self.done.done():
            self.done.set_result(outcome)

    def without_end(self, reason: str) -> Outcome:
        """The outcome when nothing more comes. What APNs has said counts although the rest is missing, and of what it
        did not get whole it has done nothing.
        """
        if self.status and self.connection is not None:
            return Reply(self.status, self.reply_headers, bytes(self.reply), self.connection)
        return Unanswered(reason) if self.sent_bytes == len(self.body) else Unprocessed(reason)
