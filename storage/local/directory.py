"""One data directory, one user at a time.

The lock is a `flock` on a descriptor that the servers hold as well: after our death it lasts until the last of them is
gone, so that the next run does not meet a mongod that is still closing its files.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

_POLL_S: Final = 0.05


class DirectoryUnusable(Exception):
    """The directory cannot be made, written or locked. `str()` is one line that names it and says why."""


@asynccontextmanager
async def claimed(directory: Path, *, wait_s: float = 15.0) -> AsyncIterator[int]:
    """Make the directory if need be and hold it for the block; gives the lock's descriptor, for children to keep open.

    While the directory belongs to a living process it is refused at once; what a dead one left behind gets `wait_s`
    seconds to end. Raises DirectoryUnusable.
    """
    fd = _opened(directory)
    try:
        deadline = asyncio.get_running_loop().time() + wait_s
        while not _locked(fd):
            owner = _owner(fd)
            if owner and _alive(owner):
                raise DirectoryUnusable(
                    f"{directory} is in use by process {owner}: stop that one, or use another directory"
                )
            if asyncio.get_running_loop().time() > deadline:
                raise DirectoryUnusable(f"{directory} is still in use by servers of an earlier run")
            await asyncio.sleep(_POLL_S)
        os.pwrite(fd, f"{os.getpid():<20}\n".encode(), 0)
        yield fd
    finally:
        os.close(fd)


def _opened(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DirectoryUnusable(f"cannot write to {directory}: {error.strerror}") from error


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(fd: int) -> int:
    with contextlib.suppress(ValueError):
        return int(os.pread(fd, 32, 0))
    return 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
