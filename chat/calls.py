"""One call of a method on behalf of a user, measured: the same for the socket, REST and the server API."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from msgspec import Struct

from chat.methods import Method, Outcome
from chat.metrics.methods import MethodStats
from chat.shedding import Shedding
from chat.usecases.service import Service
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

SEND: Final = "message.send"


@dataclass(frozen=True, slots=True)
class Calls:
    """Runs methods and measures them; under overload it puts some off (see `chat.shedding`).

    While the store is known to be away (`available`) nothing is begun: what waits for it would hold up what its user
    asks next, and each further question of the same call would wait as long again.
    """

    service: Service
    stats: MethodStats
    shedding: Shedding
    monotonic: Callable[[], float]
    available: Callable[[], bool]

    async def run(self, user: str, method: Method, request: Any) -> Struct:
        """The result of the method. Raises what it raises; cancelling gives up waiting, not what was begun."""
        outcome = await self.start(user, method, request)
        return outcome if isinstance(outcome, Struct) else await outcome

    async def start(self, user: str, method: Method, request: Any) -> Outcome:
        """As `run`, but what the method promises is returned as a promise: calls of one user begin in their order."""
        if not self.available():
            self.stats.failed(method.name, codes.UNAVAILABLE.slug)
            raise ClientError(
                codes.UNAVAILABLE, "the store does not answer just now; the same request may be repeated"
            )
        wait_ms = self.shedding.begin(method.name)
        if wait_ms is not None:
            self.stats.failed(method.name, codes.UNAVAILABLE.slug)
            raise ClientError(codes.UNAVAILABLE, "the server is overloaded; try again", retry_after_ms=wait_ms)
        started = self.monotonic()
        try:
            outcome = await method.run(self.service, user, request)
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
        return outcome

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
