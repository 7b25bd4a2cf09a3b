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


class GaveUp(Exception):
    """A service will not be started again. `str()` is one line; `last_lines` is the end of its log.

    `exit_code` is that of its last run, 0 if it did not end with one of its own.
    """

    def __init__(self, name: str, why: str, exit_code: int, last_lines: tuple[str, ...]) -> None:
        super().__init__(f"{name} {why}")
        self.name = name
        self.exit_code = exit_code
        self.last_lines = last_lines


@dataclass(slots=True)
class BackOff:
    """How long to wait before a service is started again. Pure: time comes as an argument.

    The wait doubles from 0.1 s to 5 s. `give_up_after` deaths within `within_s` seconds mean giving up (None: never),
    and so does an exit code in `give_up_on` at once. After a run of 10 s everything starts anew.
    """

    give_up_after: int | None = None
    within_s: float = 60.0
    give_up_on: frozenset[int] = frozenset()
    _delay_s: float = field(default=_FIRST_DELAY_S, init=False)
    _deaths: deque[float] = field(default_factory=deque, init=False)

    def died(self, now: float, ran_for_s: float, how: Exit | ChildFailed) -> float | str:
        """Note a death, or a start that failed; returns the wait in seconds, or why to give up."""
        if isinstance(how, Exit) and how.code in self.give_up_on:
            return f"ended, {how}"
        if ran_for_s >= _STEADY_S:
            self._delay_s = _FIRST_DELAY_S
            self._deaths.clear()
        if self.give_up_after is not None:
            self._deaths.append(now)
            while self._deaths[0] < now - self.within_s:
                self._deaths.popleft()
            if len(self._deaths) >= self.give_up_after:
                return f"died {self.give_up_after} times within {self.within_s:g} s, last: {_said(how)}"
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
    """Start a (started) service again whenever it ends. Ends by being cancelled, or with GaveUp.

    Cancelling leaves the service as it is: whoever started it stops it.
    """
    started = monotonic()
    while True:
        how: Exit | ChildFailed = await service.exited()
        while True:
            now = monotonic()
            last_lines = how.last_lines if isinstance(how, ChildFailed) else service.last_lines()
            answer = back_off.died(now, now - started, how)
            if isinstance(answer, str):
                code = how.code if isinstance(how, Exit) and how.code else 0
                raise GaveUp(service.name, answer, max(code, 0), last_lines)
            kind: Literal["died", "failed"] = "died" if isinstance(how, Exit) else "failed"
            on_event(Event(kind, service.name, detail=_said(how), again_in_s=answer, last_lines=last_lines))
            await sleep(answer)
            started = monotonic()
            try:
                await service.start()
            except ChildFailed as failure:
                how = failure
            else:
                break
        on_event(Event("ready", service.name, pid=service.pid))


async def start_all(services: Iterable[Service]) -> None:
    """Start services at the same time. Raises the first ChildFailed; none is left running then."""
    services = tuple(services)
    tasks = [asyncio.create_task(service.start()) for service in services]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            # Once only, and gather may have done it: another one would break off the stop of what was being started.
            if not task.cancelling():
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await stop_all(services)
        raise


async def stop_all(services: Iterable[Service]) -> None:
    """Stop services at the same time; returns when all are gone."""
    await asyncio.gather(*(service.stop() for service in services))


@asynccontextmanager
async def watched(
    services: Iterable[Service], on_event: OnEvent, *, back_off: Callable[[], BackOff] = BackOff
) -> AsyncIterator[None]:
    """Keep (started) services running for the block, each with a back-off of its own. Their stopping is the caller's.

    When one is given up, the block is cancelled and GaveUp comes out.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keep_running(service, on_event, back_off=back_off())) for service in services]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        # The block's own error, which its author did not expect in a group, or the first that was given up.
        raise errors.exceptions[0] from None


def _said(how: Exit | ChildFailed) -> str:
    return how.reason if isinstance(how, ChildFailed) else str(how)
