"""One call of a method on behalf of a user, measured: the same for the socket, REST and the server API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from msgspec import Struct

from chat.eager import Begun
from chat.methods import Method, Outcome
from chat.metrics.methods import MethodStats
from chat.shedding import Shedding
from chat.usecases.service import Service
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

SEND: Final = "message.send"

ANSWER_TIMEOUT_S: Final = 4.5
"""Every call is answered by then, whatever it waits for: SDKs give up after 5 s, the way included. What came of it is
not known then; a repeat with the same key tells.
"""


AWAY_TIMEOUT_S: Final = 1.0
"""While the store is away: enough for what is known without it, such as that a token is none."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Runs methods and measures them; under overload it puts some off (see `chat.shedding`).

    While the store is known to be away (`available`) nothing is begun, and what was begun is given up as soon as that
    is known (`store_changed`): it would wait for one of the driver's threads, and then once more for its own deadline.
    """

    service: Service
    stats: MethodStats
    shedding: Shedding
    monotonic: Callable[[], float]
    available: Callable[[], bool]
    begun: dict[asyncio.Timeout, float] = field(default_factory=dict)
    """Those that wait, in the order in which they were begun, and when that was."""

    def waiting_s(self) -> float:
        """For how long the first of those that wait has."""
        first = next(iter(self.begun.values()), None)
        return 0.0 if first is None else self.monotonic() - first

    def store_changed(self, available: bool) -> None:
        """The store was found to be away, or back."""
        if not available:
            at = asyncio.get_running_loop().time()
            for deadline in self.begun:
                if not deadline.expired():  # its task is about to hear of it
                    deadline.reschedule(at)

    async def run(self, user: str, method: Method, request: Any) -> Struct:
        """The result of the method. Raises what it raises; cancelling gives up waiting, not what was begun."""
        outcome = await self.start(user, method, request)
        return outcome if isinstance(outcome, Struct) else await outcome

    async def start(self, user: str, method: Method, request: Any, *, waited_s: float = 0.0) -> Outcome:
        """As `run`, but what the method promises is returned as a promise: calls of one user begin in their order.

        `waited_s`: for how long its user has waited already, because of the calls before it.
        """
        if not self.available():
            self.stats.failed(method.name, codes.UNAVAILABLE.slug)
            raise _away()
        wait_ms = self.shedding.begin(method.name)
        if wait_ms is not None:
            self.stats.failed(method.name, codes.UNAVAILABLE.slug)
            raise ClientError(codes.UNAVAILABLE, "the server is overloaded; try again", retry_after_ms=wait_ms)
        started = self.monotonic()
        try:
            begun = Begun(method.run(self.service, user, request))
            if begun.ended:
                outcome = begun.result
            else:
                async with self.in_time(waited_s):
                    outcome = await begun.rest()
        except ClientError as error:
            self.stats.failed(method.name, error.code.slug)
            self.stats.duration[method.name].observe(self.monotonic() - started)
            raise
        finally:
            self.shedding.end(method.name)
        if isinstance(outcome, Struct):
            self._answered(method.name, started)
        else:
            outcome.add_done_callback(partial(self._promise_kept, method.name, started))
            self._bound(outcome, started + _answer_within_s(waited_s) - self.monotonic())
        return outcome

    @staticmethod
    def _bound(promise: "asyncio.Future[Any]", left_s: float) -> None:
        """Break the promise when its time is over. Each part of a call has a deadline of its own, and they add up."""
        timer = asyncio.get_running_loop().call_later(left_s, _give_up, promise)
        promise.add_done_callback(lambda _: timer.cancel())

    @asynccontextmanager
    async def in_time(self, waited_s: float = 0.0) -> AsyncIterator[None]:
        """What is inside ends within ANSWER_TIMEOUT_S, and as soon as the store is found to be away. While that is
        known, it has AWAY_TIMEOUT_S. Raises ClientError then. What was waited before is part of the time.
        """
        deadline = asyncio.timeout(_answer_within_s(waited_s) if self.available() else AWAY_TIMEOUT_S)
        try:
            async with deadline:
                self.begun[deadline] = self.monotonic()
                yield
        except TimeoutError:
            if deadline.expired():
                raise _away() from None
            raise
        finally:
            self.begun.pop(deadline, None)

    def _promise_kept(self, name: str, started: float, promise: "asyncio.Future[Any]") -> None:
        if promise.cancelled():
            return
        error = promise.exception()
        if isinstance(error, ClientError):
            self.stats.failed(name, error.code.slug)
        if error is None:
            self._answered(name, started)
        else:
            self.stats.duration[name].observe(self.monotonic() - started)

    def _answered(self, name: str, started: float) -> None:
        took_s = self.monotonic() - started
        self.stats.duration[name].observe(took_s)
        if name == SEND:
            self.stats.ack.observe(took_s)


def _answer_within_s(waited_s: float) -> float:
    """Whoever has waited long is given a moment all the same: it may be a long queue that moves."""
    return max(AWAY_TIMEOUT_S, ANSWER_TIMEOUT_S - waited_s)


def _give_up(promise: "asyncio.Future[Any]") -> None:
    if not promise.done():
        promise.set_exception(_away())


def _away() -> ClientError:
    return ClientError(codes.UNAVAILABLE, "the store does not answer just now; the same request may be repeated")
