"""The list of live connections: what is known of one, how a process searches its own, and how answers are merged."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final, Literal, Protocol, TypeVar

import msgspec

MAX_CONNECTIONS: Final = 500
"""Connections in one answer."""

CHUNK: Final = 500
"""Connections that are looked at before the event loop turns: about a millisecond."""

_Session = TypeVar("_Session")

Order = Literal["newest", "oldest", "queued", "subscriptions"]


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A live connection. `connected_at` in ms; `sdk` and `sdk_version` are what the client says of itself."""

    client: str
    user: str
    process: str
    node: str
    codec: str
    sdk: str
    sdk_version: str
    connected_at: int
    queued_bytes: int
    subscriptions: int
    address: str


class ConnectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """The first of `matching` connections, in the order that was asked for.

    `silent`: processes that were asked and did not answer in time; what they have is missing.
    """

    items: list[ConnectionInfo]
    matching: int
    silent: list[str] = []


class Connections(Protocol):
    """The live connections of all processes."""

    async def search(self, search: str, *, process: str | None, order: Order, limit: int) -> ConnectionPage:
        """`process` None: of all. Never waits longer than a second or two: who is silent then is named."""

    async def disconnect(self, client: str, *, reconnect: bool) -> bool:
        """End a connection wherever it is: with 3011 if the client may come back at once, else 3503.

        False: no process has it. Raises ConnectionError or TimeoutError if it is not here and others cannot be asked.
        """


async def page(
    sessions: Sequence[_Session],
    describe: Callable[[_Session], ConnectionInfo],
    search: str,
    *,
    order: Order,
    limit: int,
) -> ConnectionPage:
    """What a process answers of its own connections: a `search` that is part of user, client, address, SDK or codec.

    Looks at each once and lets the event loop turn in between, since there may be tens of thousands.
    """
    wanted = search.strip().casefold()
    items: list[ConnectionInfo] = []
    matching = 0
    for start in range(0, len(sessions), CHUNK):
        described = map(describe, sessions[start : start + CHUNK])
        found = [each for each in described if not wanted or _matches(each, wanted)]
        matching += len(found)
        items = _ordered(chain(items, found), order, limit)
        await asyncio.sleep(0)
    return ConnectionPage(items=items, matching=matching)


def together(pages: Sequence[ConnectionPage], silent: Iterable[str], *, order: Order, limit: int) -> ConnectionPage:
    """The answers of several processes to the same question, as one."""
    return ConnectionPage(
        items=_ordered((each for page in pages for each in page.items), order, limit),
        matching=sum(page.matching for page in pages),
        silent=sorted({*silent, *(process for page in pages for process in page.silent)}),
    )


def _matches(each: ConnectionInfo, wanted: str) -> bool:
    fields = (each.user, each.client, each.address, each.sdk, each.codec)
    return any(wanted in field.casefold() for field in fields)


def _ordered(found: Iterable[ConnectionInfo], order: Order, limit: int) -> list[ConnectionInfo]:
    limit = max(0, min(limit, MAX_CONNECTIONS))
    match order:
        case "newest":
            return heapq.nsmallest(limit, found, key=lambda each: (-each.connected_at, each.client))
        case "oldest":
            return heapq.nsmallest(limit, found, key=lambda each: (each.connected_at, each.client))
        case "queued":
            return heapq.nsmallest(limit, found, key=lambda each: (-each.queued_bytes, each.client))
        case "subscriptions":
            return heapq.nsmallest(limit, found, key=lambda each: (-each.subscriptions, each.client))
