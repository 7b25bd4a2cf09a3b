"""Whose connection it is: the process behind an address of the loopback interface. Linux only."""

import os
from collections.abc import Iterable
from pathlib import Path


def process_of(address: tuple[str, int], listening: int, candidates: Iterable[int]) -> int | None:
    """Which of these processes has a connection from `address` to port `listening`; None: none of them, or it ended."""
    inode = _inode(address, listening)
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    return next((pid for pid in candidates if wanted in _descriptors(pid)), None)


def _inode(address: tuple[str, int], listening: int) -> str | None:
    """The kernel's number of the client's end of a connection."""
    host = "".join(f"{int(part):02X}" for part in reversed(address[0].split(".")))
    local, remote = f"{host}:{address[1]:04X}", f":{listening:04X}"
    with Path("/proc/net/tcp").open() as table:
        for line in table:
            fields = line.split()
            if fields[1] == local and fields[2].endswith(remote):
                return fields[9]
    return None


def _descriptors(pid: int) -> set[str]:
    found: set[str] = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - a tenth of the time
            try:
                found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))  # noqa: PTH115
            except OSError:
                continue  # closed meanwhile
    except OSError:
        return set()
    return found
