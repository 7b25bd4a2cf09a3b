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
from typing import TypeVar

T = TypeVar("T")

_START_WITHIN_S = 90
_STOP_WITHIN_S = 60


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
    """A private directory with a short name (pytest's are too long for unix sockets), deleted afterwards."""
    path = Path(tempfile.mkdtemp(prefix="hubbub-test-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A server that takes connections and answers nothing, for as long as the block lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
