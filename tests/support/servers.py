"""Real servers for tests, started and stopped from synchronous code."""

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_START_WITHIN_S = 90


@contextlib.contextmanager
def in_thread(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Keep an async context manager open on an event loop of its own, in a thread, for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="servers", daemon=True)
    thread.start()
    manager = make()
    try:
        yield asyncio.run_coroutine_threadsafe(manager.__aenter__(), loop).result(_START_WITHIN_S)
    finally:
        with contextlib.suppress(AttributeError):
            asyncio.run_coroutine_threadsafe(manager.__aexit__(None, None, None), loop).result(_START_WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A private directory with a short name (pytest's are too long for unix sockets), deleted afterwards."""
    path = Path(tempfile.mkdtemp(prefix="hubbub-test-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
