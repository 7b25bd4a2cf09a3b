"""Starts services again when they die, says so, and knows when it is pointless."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn

from storage.local.children import ChildFailed, Exit, Service

_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0
_STEADY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a service, for people.

    - `ready`: it serves, `pid` is its process; `detail` says what it is (may be empty).
    - `died`: it ended by itself, `detail` says how; it is started again in `again_in_s` seconds.
    - `failed`: it could not be started again, `detail` says why; the next attempt is in `again_in_s` seconds.
    """

    kind: Literal["ready", "died", "failed"]
    name: str
    pid: int = 0
    detail: str = ""
    again_in_s: float = 0.0
    last_lines: tuple[str, ...] = ()


OnEvent = Callable[[Event], None]


class CrashLoop(Exception):
    """A service died too often to be started again. `str()` is one line; `last_lines` is the end of its log."""

    def __init__(self, name: str, times: int, within_s: float, last: str, last_lines: tuple[str, ...]) -> None:
        super().__init__(f"{name} died {times} times within {within_s:g} s, last: {last}")
        self.name = name
        self.last_lines = last_lines


@dataclass(slots=True)
class BackOff:
    """How long to wait before a service is started again. Pure: time comes as an argument.

    The wait doubles from 0.1 s to 5 s and starts anew after a run of 10 s. `give_up_after` deaths within `within_s`
    seconds mean giving up (None: never).
    """

    give_up_after: int | None = None
    within_s: float = 60.0
    _delay_s: float = field(default=_FIRST_DELAY_S, init=False)
    _deaths: deque[float] = field(default_factory=deque, init=False)

    def died(self, now: float, ran_for_s: float) -> float | None:
        """Note a death; returns the wait in seconds, or None to give up."""
        if ran_for_s >= _STEADY_S:
            self._delay_s = _FIRST_DELAY_S
        if self.give_up_after is not None:
            self._deaths.append(now)
            while self._deaths[0] < now - self.within_s:
                self._deaths.popleft()
            if len(self._deaths) >= self.give_up_after:
                return None
        delay_s, self._delay_s = self._delay_s, min(self._delay_s * 2, _LONGEST_DELAY_S)
        return delay_s


async def keep_running(
    service: Service,
    on_event: OnEvent,
    *,
    back_off: BackOff,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> NoReturn:
    """Start a (started) service again whenever it ends. Ends by being cancelled, or with CrashLoop.

    Cancelling leaves the service as it is: whoever started it stops it.
    """
    started = monotonic()
    while True:
        how = await service.exited()
        problem: Exit | ChildFailed = how
        while True:
            now = monotonic()
            last_lines = problem.last_lines if isinstance(problem, ChildFailed) else service.last_lines()
            detail = problem.reason if isinstance(problem, ChildFailed) else str(problem)
            wait_s = back_off.died(now, now - started)
            if wait_s is None:
                times = back_off.give_up_after or 0
                raise CrashLoop(service.name, times, back_off.within_s, detail, last_lines)
            kind: Literal["died", "failed"] = "failed" if isinstance(problem, ChildFailed) else "died"
            on_event(Event(kind, service.name, detail=detail, again_in_s=wait_s, last_lines=last_lines))
            await sleep(wait_s)
            started = monotonic()
            try:
                await service.start()
            except ChildFailed as failure:
                problem = failure
            else:
                break
        on_event(Event("ready", service.name, pid=service.pid))


async def start_all(services: Iterable[Service]) -> None:
    """Start services at the same time. Raises the first ChildFailed; the others are then stopped or not started."""
    services = tuple(services)
    tasks = [asyncio.create_task(service.start()) for service in services]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await stop_all(services)
        raise


async def stop_all(services: Iterable[Service]) -> None:
    """Stop services at the same time; returns when all are gone."""
    await asyncio.gather(*(service.stop() for service in services))


@asynccontextmanager
async def watched(services: Iterable[Service], on_event: OnEvent) -> AsyncIterator[None]:
    """Keep (started) services running for the block. Their stopping is the caller's."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keep_running(service, on_event, back_off=BackOff())) for service in services]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:  # the block's own, which its author did not expect in a group
            raise errors.exceptions[0] from None
        raise
