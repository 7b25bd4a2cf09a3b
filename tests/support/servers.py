"""Real servers for tests, started and stopped from synchronous code."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_START_WITHIN_S = 90
_STOP_WITHIN_S = 60

_MEMORY = Path("/dev/shm")
_DISK = Path("/tmp")
_ROOM_BYTES = 2 << 30
"""What one test process may need at once: some mongods of 300 MB each."""

MONGOD_FOR_TESTS: dict[str, Any] = {
    # What is dropped is kept for readers of the past, and until a checkpoint, as files that are open: of a database
    # for each test there would soon be more than a process may open, and each checkpoint would visit them all.
    "parameters": {"minSnapshotHistoryWindowInSeconds": "0"},
    # Some commands wait for the journal without asking for it: dropping a database for 100 ms.
    "arguments": ("--syncdelay", "2", "--journalCommitInterval", "1"),
}
"""Arguments of `mongod` where hundreds of databases come and go."""


@contextlib.contextmanager
def in_thread(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Keep an async context manager open on an event loop of its own, in a thread, for as long as the block lasts."""
    entered: Future[T] = Future()
    left: Future[None] = Future()

    async def keep_open() -> None:
        try:
            async with make() as value:
                entered.set_result(value)
                await asyncio.wrap_future(left)
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    with ThreadPoolExecutor(1, thread_name_prefix="servers") as executor:
        running = executor.submit(asyncio.run, keep_open())
        try:
            yield entered.result(_START_WITHIN_S)
        finally:
            left.set_result(None)
            running.result(_STOP_WITHIN_S)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A private directory with a short name (pytest's are too long for unix sockets), deleted afterwards.

    In memory if there is room: a busy disk may take seconds for an fsync, and servers wait for that before they answer.
    """
    path = Path(tempfile.mkdtemp(prefix="hubbub-test-", dir=_MEMORY if _has_room(_MEMORY) else _DISK))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _has_room(directory: Path) -> bool:
    """Whether all test processes of this run can keep their servers' data there."""
    needed = _ROOM_BYTES * int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    try:
        return os.access(directory, os.W_OK) and shutil.disk_usage(directory).free >= needed <= _available_bytes()
    except OSError:
        return False


def _available_bytes() -> int:
    """Memory that can be had without swapping. Raises OSError where nobody says."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    raise OSError("not said")


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A server that takes connections and answers nothing, for as long as the block lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
