"""What happened in a run, as the harness saw it: typed events, one line of JSON each, in order of time.

Times are nanoseconds of the machine's monotonic clock, which all processes of the run share. An outcome is `ok` (the
server said yes), `fail` (the server said a definite no) or `info`: nobody knows, it may be there, once at most.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Literal, Self

import msgspec
from msgspec import Struct


class _Event(Struct, frozen=True, omit_defaults=True, tag_field="f"):
    t: int


class Device(_Event, frozen=True, tag="device"):
    """A client of the run. `roams`: its user is taken out of conversations and let in again. `stranger`: in none."""

    device: str
    user: str
    roams: bool = False
    stranger: bool = False


class Send(_Event, frozen=True, tag="send"):
    """A send, identified by conversation, user and key. An attempt is an `invoke` and what it came to.

    `order` counts the sends of one device; a burst has consecutive ones that did not wait for each other. `connection`
    is the socket it went over, or the REST call.
    """

    type: Literal["invoke", "ok", "fail", "info"]
    device: str
    user: str
    conv: str
    key: str
    attempt: int
    hub: str
    connection: str = ""
    order: int = 0
    id: str = ""
    offset: int = 0
    sender: str = ""
    """Whose message the answer has."""
    duplicate: bool = False
    code: int = 0
    why: str = ""


class Received(_Event, frozen=True, tag="recv"):
    """A publication with an offset. `via`: `live`, or `resume` while what was missed is coming."""

    device: str
    user: str
    hub: str
    conv: str
    offset: int
    kind: str
    sender: str = ""
    key: str = ""
    via: str = "live"


class Item(Struct, frozen=True, omit_defaults=True, array_like=True):
    """A message of a page, or an entry of a log. `users` are those who came or went by it."""

    offset: int
    kind: str
    sender: str = ""
    key: str = ""
    users: tuple[str, ...] = ()


class Page(_Event, frozen=True, tag="hist"):
    """A page of history that somebody read; asked for at `asked`. `fills`: a device read what it was not told.

    `after` is what was asked for, None without; `upto` is the last offset the page speaks for.
    """

    asked: int
    device: str
    user: str
    hub: str
    conv: str
    items: tuple[Item, ...]
    fills: bool = False
    after: int = 0
    upto: int = 0


class Subscribed(_Event, frozen=True, tag="sub"):
    """A device's subscription was given or given again: live from `offset` on. Neither flag: it is new."""

    device: str
    conv: str
    offset: int
    was_recovering: bool = False
    recovered: bool = False


class Unsubscribed(_Event, frozen=True, tag="unsub"):
    device: str
    conv: str


class Connection(_Event, frozen=True, tag="connection"):
    """`open`, `close` (with code) or `error` of a device's socket."""

    type: Literal["open", "close", "error"]
    device: str
    hub: str
    client: str = ""
    code: int = 0
    why: str = ""


class Member(_Event, frozen=True, tag="member"):
    """Somebody's membership is changed by the harness: asked for, and done."""

    type: Literal["invoke", "ok", "info"]
    conv: str
    user: str
    came: bool


class Fault(_Event, frozen=True, tag="fault"):
    """`begin`, `end` (nothing is done to anybody any more), `healed` (all is as before), or `unhealed` (it never was;
    `why`). `within_s` is the time between the two that it may take.
    """

    type: Literal["begin", "end", "healed", "unhealed"]
    name: str
    why: str = ""
    within_s: float = 0.0


class Happened(_Event, frozen=True, tag="server"):
    """What became of a server, see `chaos.servers.Observe`."""

    name: str
    what: str


class Sample(_Event, frozen=True, tag="sample"):
    """What a hub holds. `phase`: `before` the fault, `during`, or `after` it healed. `descriptors` without those of
    connections of clients and to MongoDB.
    """

    hub: str
    phase: str
    descriptors: int
    resident_bytes: int
    metrics: dict[str, float] = {}


class Stall(_Event, frozen=True, tag="stall"):
    """The harness itself stood still for so long: what it measured then says nothing of the hubs."""

    lag_s: float


class Waited(_Event, frozen=True, tag="waited"):
    """For how long a process could have run and was given no processor, since it started. `name`: a server's, or
    `harness`.
    """

    name: str
    waited_s: float


class Whole(_Event, frozen=True, tag="whole"):
    """A conversation as it is in the end, complete. `source`: `log` (the truth), or who else told the same.

    `acked` is the highest offset that had been acknowledged when it was asked for: what landed later may be missing.
    """

    conv: str
    source: str
    items: tuple[Item, ...]
    acked: int = 0


class CaughtUp(_Event, frozen=True, tag="caught-up"):
    """Where a device is in the end, in a conversation that it is subscribed to."""

    device: str
    conv: str


Event = (
    Device
    | Send
    | Received
    | Page
    | Subscribed
    | Unsubscribed
    | Connection
    | Member
    | Fault
    | Happened
    | Sample
    | Stall
    | Waited
    | Whole
    | CaughtUp
)

MESSAGE: Final = "message.created"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


class History:
    """Collects events, in memory and in a file. Listeners hear each one as it comes."""

    def __init__(self, path: Path | None = None) -> None:
        self.events: list[Event] = []
        self.listeners: list[list[Event]] = []
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, event: Event) -> None:
        self.events.append(event)
        for listener in self.listeners:
            listener.append(event)
        if self._file is not None:
            self._file.write(_encoder.encode(event) + b"\n")


def now() -> int:
    """The time of events."""
    return time.monotonic_ns()


def as_lines(events: Iterable[Event]) -> bytes:
    return b"".join(_encoder.encode(event) + b"\n" for event in events)


def read(path: Path) -> Iterator[Event]:
    """The events of a file. Raises msgspec.MsgspecError for a line that is none."""
    with path.open("rb") as file:
        for line in file:
            yield _decoder.decode(line)


def as_mapping(event: Event) -> dict[str, object]:
    """An event as the faults see it: the fields of its line."""
    mapping: dict[str, object] = msgspec.json.decode(_encoder.encode(event))
    return mapping
