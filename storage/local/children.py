"""Child processes that are never left behind, and services that can be started again.

Each child runs behind a guard (guard.py), to which we hold a pipe: however this process goes, the pipe ends, and the
guard ends the child. Nothing here is bound to one event loop, so a test session may start a server on one loop and
stop it on another. Needs POSIX.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_GUARD: Final = Path(__file__).with_name("guard.py")
LAST_LINES: Final = 20
"""How many lines of a log are shown when something failed."""

_MAX_LOG_BYTES: Final = 4 * 1024 * 1024
_MAX_LINE_BYTES: Final = 1024
_GUARD_MARGIN_S: Final = 5.0


class ChildFailed(Exception):
    """A child could not be started. `str()` is one line; `last_lines` is the end of its log, for people."""

    def __init__(self, name: str, reason: str, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
        self.last_lines = last_lines


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: exit code, negative for a signal, None when its guard was killed (it dies with it)."""

    code: int | None

    def __str__(self) -> str:
        if self.code is None:
            return "lost with its guard"
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"killed by signal {-self.code}"


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `name` is what events and messages call it.

    `log` receives standard output and error, appended; beyond 4 MiB it is moved to `<log>.1` before a start. Without
    it the child writes where we do. `environment` is the whole environment (None: ours). At a stop the child gets
    SIGTERM and, after
    `grace_s` seconds, SIGKILL; 0 kills at once. `keep_open` are descriptors that the child holds too (a lock is then
    held as long as any of them lives). `remove_if_orphaned` is a directory that is deleted when this process is gone
    without a stop.
    """

    name: str
    argv: tuple[str, ...]
    log: Path | None = None
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    grace_s: float = 10.0
    keep_open: tuple[int, ...] = ()
    remove_if_orphaned: Path | None = None


class Child:
    """One run of a command. Made by `start`, ended by `stop` (or by itself)."""

    def __init__(
        self, command: Command, guard: subprocess.Popen[bytes], status_fd: int, life_fd: int, log_start: int
    ) -> None:
        self.command = command
        self._log_start = log_start
        self._guard = guard
        self._status_fd = status_fd
        self._life_fd = life_fd
        self._said = b""
        self._exit: Exit | None = None
        self._pid = 0
        self._failure = ""

    @classmethod
    async def start(cls, command: Command) -> "Child":
        """Start the command; returns when the program runs (it need not be ready). Raises ChildFailed."""
        child = _spawn(command)
        try:
            await child._started()  # noqa: SLF001 - its own class
        except BaseException:
            await child.stop(now=True)
            raise
        return child

    @property
    def pid(self) -> int:
        """The program's process id (not the guard's)."""
        return self._pid

    @property
    def guard_pid(self) -> int:
        return self._guard.pid

    @property
    def running(self) -> bool:
        """Whether the end was not yet heard of."""
        return self._exit is None

    async def _started(self) -> None:
        while not self._pid and self._exit is None:
            await self._hear()
        if not self._pid:
            raise ChildFailed(self.command.name, self._failure or str(self._exit))

    async def exited(self) -> Exit:
        """Wait for the program's end. Several may wait; cancelling leaves the child alone."""
        while self._exit is None:
            await self._hear()
        return self._exit

    async def stop(self, *, now: bool = False) -> Exit:
        """End the program: politely and then not, or `now`. Returns once it is gone, in `grace_s` and a moment at most.

        Cancelled in between, the guard is left to end it.
        """
        self._order(b"k" if now else b"s")
        try:
            try:
                async with asyncio.timeout(self.command.grace_s + _GUARD_MARGIN_S):
                    return await self.exited()
            except TimeoutError:
                self._guard.kill()  # the kernel kills the program with it
                return await self.exited()
        finally:
            if self._exit is None:
                self.abandon()

    def abandon(self) -> None:
        """Let go of it without waiting: the guard ends the program as if we had died."""
        if self._exit is None:
            self._let_go(Exit(None))
            # The guard ends within `grace_s`; somebody has to collect it.
            threading.Thread(target=self._guard.wait, name="collect", daemon=True).start()

    def last_lines(self, count: int = LAST_LINES) -> tuple[str, ...]:
        """The end of what this run wrote to its log, for people."""
        return tail(self.command.log, count, since=self._log_start) if self.command.log else ()

    def _order(self, order: bytes) -> None:
        if self._exit is None:
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(self._life_fd, order)

    async def _hear(self) -> None:
        """Wait until the guard says something, or ends, and note it."""
        fd = os.dup(self._status_fd)  # of our own, so that several waiters can be registered with the loop
        loop = asyncio.get_running_loop()
        heard: asyncio.Future[None] = loop.create_future()
        loop.add_reader(fd, _wake, heard)
        try:
            await heard
        finally:
            loop.remove_reader(fd)
            os.close(fd)
        if self._exit is not None:  # another waiter was faster
            return
        try:
            said = os.read(self._status_fd, 4096)
        except BlockingIOError:
            return
        self._said += said
        self._take_lines()
        if not said:
            self._finish(Exit(None))

    def _take_lines(self) -> None:
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "pid":
                self._pid = int(rest)
            elif word == "failed":
                self._failure = rest
            elif word == "exit":
                self._finish(Exit(int(rest)))

    def _finish(self, how: Exit) -> None:
        if self._exit is None:
            self._let_go(how)
            self._guard.wait()  # it has said its last word, so this is a matter of microseconds

    def _let_go(self, how: Exit) -> None:
        self._exit = how
        os.close(self._status_fd)
        os.close(self._life_fd)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _spawn(command: Command) -> Child:
    """Start guard and program; returns at once, before it is known whether the program could be run."""
    life_read, life_write = os.pipe()
    status_read, status_write = os.pipe()
    os.set_blocking(life_write, False)
    os.set_blocking(status_read, False)
    argv = [sys.executable, "-I", "-S", str(_GUARD), str(status_write), str(command.grace_s)]
    argv += [str(command.remove_if_orphaned or ""), *command.argv]
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, life_read)
        stack.callback(os.close, status_write)
        output: IO[bytes] | None = None
        log_start = 0
        try:
            if command.log is not None:
                output = stack.enter_context(_open_log(command.log))
                log_start = output.tell()
            guard = subprocess.Popen(  # noqa: S603 - the program is one that we looked up ourselves
                argv,
                stdin=life_read,
                stdout=output,
                stderr=output,
                env=command.environment,
                cwd=command.directory,
                pass_fds=(status_write, *command.keep_open),
                start_new_session=True,
            )
        except OSError as error:
            os.close(life_write)
            os.close(status_read)
            raise ChildFailed(command.name, str(error)) from error
    return Child(command, guard, status_read, life_write, log_start)


def _open_log(path: Path) -> IO[bytes]:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _MAX_LOG_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def tail(path: Path, count: int = LAST_LINES, *, since: int = 0) -> tuple[str, ...]:
    """The last lines of a text file, of `count` KiB at most, from byte `since` on; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - count * _MAX_LINE_BYTES, since))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-count:])


class Service:
    """A program that can be started again and again: a command and the proof that it is ready.

    Not running until `start`. Not for concurrent use: one owner starts and stops it.
    """

    def __init__(
        self, command: Command, ready: Callable[[], Awaitable[None]] | None = None, *, ready_within_s: float = 30.0
    ) -> None:
        """`ready` returns when the program serves; it may poll for ever, it is cancelled when the time is up."""
        self.command = command
        self._ready = ready
        self._ready_within_s = ready_within_s
        self._child: Child | None = None

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def child(self) -> Child:
        """The present or last run. Raises RuntimeError before the first start."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child

    @property
    def pid(self) -> int:
        """The process id of the present or last run. Raises RuntimeError before the first start."""
        return self.child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended, as far as was heard."""
        return self._child is not None and self._child.running

    async def start(self) -> None:
        """Start the program and wait until it is ready. Raises ChildFailed, and then nothing is left running.

        Does nothing while it runs.
        """
        if self._child is not None and self._child.running:
            return
        child = self._child = await Child.start(self.command)
        if self._ready is None:
            return
        try:
            await self._wait_ready(child, self._ready)
        except BaseException:
            await child.stop(now=True)
            raise

    async def stop(self, *, now: bool = False) -> None:
        """Stop it, politely or `now`; does nothing when it does not run."""
        if self._child is not None and self._child.running:
            await self._child.stop(now=now)

    async def exited(self) -> Exit:
        """Wait for the end of the present run."""
        return await self.child.exited()

    def last_lines(self) -> tuple[str, ...]:
        """The end of the log, for people."""
        return self.child.last_lines()

    async def _wait_ready(self, child: Child, ready: Callable[[], Awaitable[None]]) -> None:
        proof = asyncio.ensure_future(ready())
        end = asyncio.ensure_future(child.exited())
        try:
            await asyncio.wait((proof, end), timeout=self._ready_within_s, return_when=asyncio.FIRST_COMPLETED)
            if proof.done():
                proof.result()
            elif end.done():
                raise ChildFailed(self.name, f"ended before it was ready, {end.result()}", self.last_lines())
            else:
                reason = f"not ready after {self._ready_within_s:g} s"
                raise ChildFailed(self.name, reason, self.last_lines())
        finally:
            for task in (proof, end):
                task.cancel()
            await asyncio.gather(proof, end, return_exceptions=True)
