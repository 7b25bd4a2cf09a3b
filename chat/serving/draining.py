"""The end of a hub process, step by step, each with a bound and all within the time that it is given.

Readiness fails and everything is still served, so that balancers look elsewhere; the port closes; sockets are closed in
small batches with what they are owed; requests are finished; what is written goes out. Whoever wants it sooner says so
once more, and nothing is waited for.
"""

import asyncio
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Final

import structlog

from chat.config.server import ServerSection
from chat.serving.door import Door
from chat.serving.inflight import InFlight
from chat.serving.signals import happens_within
from realtime.draining import ANSWERS_S, drain
from realtime.protocol.codes import CLOSE_SHUTDOWN
from realtime.session import Session

log = structlog.get_logger(__name__)

CONNECTIONS_PER_S: Final = 200.0
"""How fast connections are closed where there is time: so many handshakes a second are no wave for those who stay."""

FEW_PER_S: Final = 50.0
FEW_WITHIN_S: Final = 1.0
"""Also a few do not come back together, as not every SDK waits before it connects for the first time."""

_TOGETHER_S: Final = 0.05
_SPREAD_SHARE: Final = 0.5
_ANSWERS_SHARE: Final = 0.2


def window_s(server: ServerSection) -> float:
    """How long readiness fails before anything else happens."""
    return min(server.termination_delay, server.shutdown_timeout / 2)


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds for each step of what is left of the time."""

    spread_s: float
    answers_s: float

    @classmethod
    def of(cls, connections: int, left_s: float) -> "Plan":
        """Half of the time at most for the spread: the rest is for answers, closes and the flush."""
        wanted_s = max(connections / CONNECTIONS_PER_S, min(connections / FEW_PER_S, FEW_WITHIN_S))
        return cls(min(wanted_s, left_s * _SPREAD_SHARE), min(ANSWERS_S, left_s * _ANSWERS_SHARE))


class Leaving:
    """What the parts of a process are told when it is to end, and what it waits for.

    `begun`: readiness fails, and kept connections end with their next answer; all else is served. `draining`: upgrades
    are refused as well. `on_drain` ends what would keep requests open for ever.
    """

    def __init__(self) -> None:
        self.requests = InFlight()
        self.draining = False
        self.on_drain: list[Callable[[], None]] = []

    @property
    def begun(self) -> bool:
        return self.requests.leaving

    def begin(self) -> None:
        self.requests.leaving = True

    def drain(self) -> None:
        self.begin()
        self.draining = True
        for end in self.on_drain:
            end()


async def announce(leaving: Leaving, server: ServerSection, skip: asyncio.Event) -> None:
    """Fail readiness and wait for the balancers to notice, at most until `skip` is set."""
    leaving.begin()
    delay_s = window_s(server)
    # A moment in any case: of two signals that were sent together, one may be heard a little later.
    if await happens_within(skip, min(delay_s, _TOGETHER_S)) or not delay_s:
        return
    log.info("leaving", ready_fails_for_s=delay_s)
    await happens_within(skip, delay_s - _TOGETHER_S)


async def close(
    leaving: Leaving, door: Door, connections: Set[Session], *, left_s: float, hurry: asyncio.Event
) -> None:
    """Close the port, then all connections, and wait for the requests in flight. Takes `left_s` at most, as a rule much
    less; what is still to be written then has its time after this.
    """
    door.close()
    leaving.drain()
    requests, plan = leaving.requests, Plan.of(len(connections), left_s)
    log.info("draining", connections=len(connections), requests=requests.count, spread_s=round(plan.spread_s, 2))
    async with asyncio.TaskGroup() as group:
        group.create_task(
            drain(connections, CLOSE_SHUTDOWN, over_s=plan.spread_s, answers_s=plan.answers_s, hurry=hurry)
        )
        group.create_task(requests.done(plan.spread_s + plan.answers_s, hurry))
    log.info("drained", requests=requests.count)
