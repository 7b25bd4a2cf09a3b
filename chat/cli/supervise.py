"""Several OS processes as one command: `hubbub serve --workers N`.

Knows processes and signals (SIGTERM, SIGINT and SIGHUP are passed on), and nothing of what the processes do. A process
that dies is started again, more slowly each time; one that keeps dying ends everything with a clear error, because a
supervisor above us (systemd, Kubernetes) should see that. However this process goes, the others go with it
(storage/local/children.py).
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

import structlog

from chat.cli.outcome import EXIT_CONFIG, EXIT_ERROR, EXIT_OK, EXIT_USAGE
from chat.serving.signals import Stopping
from storage.local.children import ChildFailed, Command, Service
from storage.local.restarts import BackOff, Event, GaveUp, OnEvent, start_all, stop_all, watched

SELF: Final = (sys.executable, "-m", "chat")
"""How a process starts another `hubbub`: the same Python, wherever the script is."""

FATAL_EXIT_CODES: Final = frozenset({EXIT_USAGE, EXIT_CONFIG})
"""A process that ends with one of these would do it again."""

DEATHS_TO_GIVE_UP: Final = 5
WITHIN_S: Final = 60.0

_KILL_MARGIN_S: Final = 3.0

_log = structlog.get_logger(__name__)


def give_up_soon() -> BackOff:
    """The policy for our own processes: a wrong configuration does not get better, a crash loop should be seen."""
    return BackOff(DEATHS_TO_GIVE_UP, WITHIN_S, FATAL_EXIT_CODES)


def workers(count: int, arguments: Sequence[str], *, shutdown_timeout_s: float) -> list[Command]:
    """The commands of `count` hub processes. `arguments` follow `hubbub`; output goes where ours goes.

    A process that is not gone `shutdown_timeout_s` and a moment after SIGTERM is killed.
    """
    argv = (*SELF, *arguments)
    grace_s = shutdown_timeout_s + _KILL_MARGIN_S
    return [Command(f"hub {number}", argv, grace_s=grace_s) for number in range(1, count + 1)]


async def supervise(
    commands: Iterable[Command],
    stopping: Stopping,
    on_event: OnEvent,
    *,
    back_off: Callable[[], BackOff] = give_up_soon,
    reload: asyncio.Event | None = None,
) -> None:
    """Run the commands until a stop is asked for; all of them are gone when this returns or raises. Whenever `reload`
    is set, it is cleared and all of them get a SIGHUP.

    Raises ChildFailed if one cannot be started at first, GaveUp if one keeps dying.
    """
    services = [Service(command) for command in commands]
    await start_all(services)
    try:
        for service in services:
            on_event(Event("ready", service.name, service.pid))
        async with watched(services, on_event, back_off=back_off), _passing_on(services, reload):
            await stopping.asked.wait()
    finally:
        await stop(services, stopping)


@contextlib.asynccontextmanager
async def _passing_on(services: Sequence[Service], reload: asyncio.Event | None) -> AsyncIterator[None]:
    async def pass_on(event: asyncio.Event) -> None:
        while True:
            await event.wait()
            event.clear()
            _signal(services, signal.SIGHUP)

    if reload is None:
        yield
        return
    passing = asyncio.create_task(pass_on(reload), name="pass-on-sighup")
    try:
        yield
    finally:
        passing.cancel()


def _signal(services: Sequence[Service], number: signal.Signals) -> None:
    for service in services:
        if service.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(service.pid, number)


async def stop(services: Sequence[Service], stopping: Stopping) -> None:
    """Stop services politely, or at once when that is urged."""
    if stopping.by_hand.is_set():
        # Besides what they are told below: nobody waits for balancers on a terminal.
        _signal(services, signal.SIGINT)
    polite = asyncio.create_task(stop_all(services))
    urged = asyncio.create_task(stopping.urged.wait())
    try:
        await asyncio.wait({polite, urged}, return_when=asyncio.FIRST_COMPLETED)
        if not polite.done():
            await asyncio.gather(*(service.stop(now=True) for service in services))
        await polite
    finally:
        urged.cancel()
        polite.cancel()


def run(commands: Iterable[Command], *, back_off: Callable[[], BackOff] = give_up_soon) -> int:
    """Supervise the commands in this process until a signal; returns the exit code."""

    async def main() -> int:
        reload = asyncio.Event()
        async with Stopping().listening(reload.set) as stopping:
            try:
                await supervise(commands, stopping, log_event, back_off=back_off, reload=reload)
            except GaveUp as end:
                _log.error("gave_up", process=end.name, reason=str(end))
                return end.exit_code or EXIT_ERROR
            except ChildFailed as failure:
                _log.error("start_failed", process=failure.name, reason=failure.reason)
                return EXIT_ERROR
            return EXIT_OK

    return asyncio.run(main())


def log_event(event: Event) -> None:
    """Say an event in the log."""
    if event.kind == "ready":
        _log.info("process_started", process=event.name, pid=event.pid)
    else:
        _log.warning(f"process_{event.kind}", process=event.name, how=event.detail, again_in_s=event.again_in_s)
