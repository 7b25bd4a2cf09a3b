"""What a fault is to the harness, and what the harness gives to a fault. No I/O: the words that the others share.

A run builds a cluster as the fault's `Topology` wants it, lets clients work on it, injects the fault for `lasts_s`
seconds, heals it, waits until everything is as before, and reads everything back.
"""

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

Injected = AbstractAsyncContextManager[None]
"""The fault is there inside the block; leaving it heals, whatever happened inside."""


class Traffic(Enum):
    """What a link does with the bytes of one direction, or with connections."""

    PASS = "pass"
    STALL = "stall"
    """Held back, as by a frozen peer; sent on when the link passes again."""
    REFUSE = "refuse"
    """New connections are refused, those there are reset."""
    BLACKHOLE = "blackhole"
    """Accepted and never answered; what is under way is thrown away."""


class Link(Protocol):
    """One way through the harness' own proxy, such as from one hub to MongoDB."""

    name: str

    def set(self, traffic: Traffic, *, to_server: bool = True, to_client: bool = True) -> None: ...

    def delay(self, seconds: float, jitter_s: float = 0.0) -> None: ...

    def reset(self) -> None:
        """Reset the connections there are."""

    def rate(self, bytes_per_s: float | None) -> None:
        """Let no more through in each direction of each connection. None ends it."""

    def chop(self, piece_bytes: int | None) -> None:
        """Write in pieces of this size. None ends it."""

    def half_close(self) -> None:
        """Tell the servers that the clients will say no more, which the clients do not know."""

    @property
    def cuts(self) -> int:
        """Replies that were cut off, as `cut_after` wanted it."""

    def cut_after(self, reply_bytes: int, *, asked: bytes = b"") -> None:
        """Reset the next connection that got so many more bytes from its server: a reply that is lost.

        With `asked` it counts from a chunk on that has these bytes, on its way to the server.
        """


class Server(Protocol):
    """One process of the cluster: a hub, the worker, a mongod, a Redis."""

    name: str

    @property
    def pid(self) -> int: ...

    @property
    def running(self) -> bool: ...

    def freeze(self) -> None:
        """SIGSTOP: it takes connections and answers nothing."""

    def thaw(self) -> None: ...

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""

    async def end(self) -> int:
        """SIGTERM, and wait; returns the exit code."""

    async def start(self, *, wrapped: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        """Start it again with the same port and data, and wait until it answers. `wrapped`: a command before its own,
        such as `prlimit`."""


class Hub(Server, Protocol):
    """A hub process. Clients reach it through a link, so that the harness can be unkind to them too."""

    port: int
    clients: Link
    to_redis: Link
    to_mongodb: Link

    async def metrics(self) -> Mapping[str, float]:
        """The samples of `/metrics`, labels in the name as in the exposition."""

    async def readiness(self) -> tuple[int, str]:
        """Status and body of `/readyz`; (0, "") when nobody answers."""


class Cluster(Protocol):
    @property
    def hubs(self) -> Sequence[Hub]: ...

    @property
    def workers(self) -> Sequence[Server]: ...

    @property
    def mongods(self) -> Sequence[Server]: ...

    @property
    def redises(self) -> Sequence[Server]: ...

    async def mongo(self, command: Mapping[str, object], *, member: int | None = None) -> Mapping[str, object]:
        """Run an admin command on the primary, or on one member."""

    async def redis(self, *command: str) -> object:
        """Run a command on the first Redis."""

    def primary(self) -> AbstractAsyncContextManager[Server]:
        """The mongod that takes writes at the moment."""


class Run(Protocol):
    """What a fault may use while it is injected."""

    random: random.Random

    @property
    def cluster(self) -> Cluster: ...

    def note(self, name: str, value: object) -> None:
        """A figure for the report, such as how long an election took."""

    def require(self, name: str, holds: bool, told: str) -> None:
        """What must be seen with this fault besides the invariants. A broken one fails the run."""

    async def until(self, condition: Callable[[], object], *, within_s: float, told: str) -> float:
        """Wait for a condition (plain or awaitable) and return the seconds it took. The run fails if it never comes."""

    def patience(self) -> float:
        """How many times as long as on a quiet machine things may take. 1 there; `until` keeps to it by itself."""

    def acked(self) -> int:
        """Sends acknowledged so far."""

    def slowness(self) -> float:
        """How many times as long as by itself a hub takes here, as others want the processors too; 1 at least."""

    def people(self) -> Mapping[str, Sequence[str]]:
        """The run's conversations, and who is in each of them all the time."""

    def history(self) -> AsyncIterator[Mapping[str, object]]:
        """What clients record from now on, as it happens."""


@dataclass(frozen=True, slots=True)
class Topology:
    """What a fault needs. `settings` are dotted keys of the configuration for every hub."""

    hubs: int = 2
    workers: int = 1
    mongods: int = 1
    """3 make a replica set that elects."""
    redises: int = 1
    phones: bool = False
    """People can have devices that are pushed to: there are emulators of the vendors, and workers send to these."""
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the fault matrix.

    `inject` may last longer than `lasts_s` where the fault is a series of steps. `skipped` says why this machine cannot
    do it, or None.
    """

    number: str
    title: str
    inject: Callable[[Run], Injected]
    topology: Topology = Topology()
    lasts_s: float = 8.0
    heals_within_s: float = 10.0
    tracebacks: tuple[str, ...] = ()
    """What in a log line with a traceback says that it is of this fault, and no finding."""
    skipped: Callable[[], str | None] = lambda: None
    area: str = ""
    """What it is about: two of one area would get into each other's way. Empty: as its module is called."""
