"""What a worker knows of a lane: who runs in it, whether it goes, and whether its verdicts are to be believed."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chat.push.breaker import BreakerSettings, DeletionBreaker, LaneBreaker, LaneState
from chat.push.sending import Address

MAX_ORIGINS: Final = 1000
"""Origins of one lane that are remembered; of more, the one that was used the longest ago is forgiven."""

HAND_OVER: Final = 0.5
HAND_OVER_S: Final = 0.05
"""Free places of an origin are handed over once no more than this share is taken, and after this time in any case."""

_BY_ORIGIN: Final = frozenset({"subscription", "url"})


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """What an operator sees of a lane. `until`: when it is tried again. `suspect_since`: tombstones made from then on
    may be wrong, and no more are made. `origins`: how many of its origins are left alone.
    """

    lane: str
    state: LaneState
    running: int
    reason: str = ""
    until: int | None = None
    suspect_since: int | None = None
    origins: int = 0


class LaneRuntime:
    """One lane in one worker. Where a lane leads to several origins, each has a breaker of its own and at most half of
    the lane's room: one that hangs leaves the other half. `running` leaves out those who wait for a place.
    """

    def __init__(self, name: str, limit: int, random: Callable[[], float], settings: BreakerSettings) -> None:
        self.name = name
        self.limit = limit
        self.running = 0
        self.breaker = LaneBreaker(random, settings)
        self.deletions = DeletionBreaker(settings)
        self.suspicion_ms = settings.suspicion_ms
        self._random = random
        self._settings = settings
        self._origins: OrderedDict[str, LaneBreaker] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._places: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def room(self, now: int) -> int:
        """How many more jobs may be claimed. As many as run may wait; beyond, some: they may be for other origins."""
        left = self.limit - self.waiting
        return min(self.breaker.room(now, self.running, self.limit), left if left > 0 else max(1, self.limit // 4))

    @property
    def _most(self) -> int:
        """Places of one origin."""
        return max(1, self.limit // 2)

    @property
    def crowded(self) -> bool:
        """As many wait as may run: most of what is claimed now would not even find room to wait."""
        return self.waiting >= self.limit

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def place(self, address: Address, wait_s: float) -> AsyncIterator[bool]:
        """A place among those that may send to the address' origin, for who runs in the lane; in turn. False: there was
        none in that time, or as many wait as may run.
        """
        origin = origin_of(address)
        if origin is None:
            yield True
            return
        if origin not in self._waiting and self._places[origin] < self._most:
            self._places[origin] += 1
        elif not await self._handed_over(origin, wait_s):
            yield False
            return
        try:
            yield True
        finally:
            self._leave(origin)

    async def _handed_over(self, origin: str, wait_s: float) -> bool:
        if self.waiting >= self.limit:
            return False
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(origin, deque())
        waiting.append(place)
        self.running -= 1
        try:
            await asyncio.wait({place}, timeout=wait_s)
        except BaseException:
            if place.done():
                self._leave(origin)
            raise
        finally:
            self.running += 1
            if not place.done():
                waiting.remove(place)
                if not waiting:
                    del self._waiting[origin]
        return place.done()

    def _leave(self, origin: str) -> None:
        """The place is for who has waited the longest, but several are handed over at once, or after a moment: those
        who begin together ask MongoDB together.
        """
        self._places[origin] -= 1
        if origin not in self._waiting:
            self._forget_if_empty(origin)
        elif self._places[origin] <= self._most * HAND_OVER:
            self._hand_over(origin)
        elif origin not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[origin] = loop.call_later(HAND_OVER_S, self._hand_over, origin)

    def _hand_over(self, origin: str) -> None:
        if (timer := self._timers.pop(origin, None)) is not None:
            timer.cancel()
        waiting = self._waiting.get(origin)
        while waiting and self._places[origin] < self._most:
            waiting.popleft().set_result(None)
            self._places[origin] += 1
        if not waiting:
            self._waiting.pop(origin, None)
            self._forget_if_empty(origin)

    def _forget_if_empty(self, origin: str) -> None:
        if not self._places[origin]:
            del self._places[origin]

    def breaker_of(self, address: Address) -> LaneBreaker:
        """What is told of answers and their absence: the lane's, or that of the address' origin."""
        return self.breaker_at(origin_of(address) or "")

    def breaker_at(self, origin: str) -> LaneBreaker:
        """Of an origin; of the lane for none."""
        if not origin:
            return self.breaker
        if origin not in self._origins:
            self._origins[origin] = LaneBreaker(self._random, self._settings)
        self._origins.move_to_end(origin)
        if len(self._origins) > MAX_ORIGINS:
            self._origins.popitem(last=False)
        return self._origins[origin]

    def has_room_for(self, address: Address, now: int) -> bool:
        """Whether it may be sent to now: the lane may have been left alone since the claim."""
        if self.breaker.state(now) is LaneState.OPEN:
            return False
        origin = origin_of(address)
        if origin is None:
            return True
        return self.breaker_of(address).room(now, self._running[origin], self._most) > 0

    @contextmanager
    def sending(self, address: Address) -> Iterator[None]:
        """While a push is under way to its origin."""
        origin = origin_of(address)
        if origin is None:
            yield
            return
        self._running[origin] += 1
        try:
            yield
        finally:
            self._running[origin] -= 1
            if not self._running[origin]:
                del self._running[origin]

    def status(self, now: int) -> LaneStatus:
        state = self.breaker.state(now)
        return LaneStatus(
            self.name,
            state,
            self.running,
            "" if state is LaneState.CLOSED else self.breaker.reason,
            None if state is LaneState.CLOSED else self.breaker.opens_at(now),
            self.deletions.suspect_since,
            sum(one.state(now) is not LaneState.CLOSED for one in self._origins.values()),
        )

    def reset(self) -> None:
        """Somebody has looked at it: begin anew."""
        self.breaker.reset()
        self.deletions.reset()
        self._origins.clear()


def origin_of(address: Address) -> str | None:
    """Where its URL leads; None for an address that is none."""
    if address.kind not in _BY_ORIGIN:
        return None
    parts = urlsplit(address.value)
    return f"{parts.scheme}://{parts.netloc}"
