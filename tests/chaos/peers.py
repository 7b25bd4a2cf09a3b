"""Whose connection it is: the process behind an address of the loopback interface. Linux only."""

import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NETLINK_SOCK_DIAG = 4
_HEADER = struct.Struct("=LHHLL")
_REQUEST = struct.Struct("=BBBBL")
_INODE_AT = _HEADER.size + 4 + 48 + 16


def process_of(address: tuple[str, int], listening: int, candidates: Iterable[int]) -> int | None:
    """Which of these processes has a connection from `address` to port `listening`; None: none of them, or it ended."""
    inode = _asked(address, listening) or _listed(address, listening)
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    return next((pid for pid in candidates if _has(pid, wanted)), None)


def _asked(address: tuple[str, int], listening: int) -> int | None:
    """The kernel's number of the client's end of a connection, asked for; None where it does not say."""
    ends = struct.pack("!HH", address[1], listening)
    addresses = socket.inet_aton(address[0]) + bytes(12) + socket.inet_aton("127.0.0.1") + bytes(12)
    connection = ends + addresses + struct.pack("=LLL", 0, 0xFFFFFFFF, 0xFFFFFFFF)
    request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + connection
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(0.2)
            kernel.send(header + request)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < _INODE_AT + 4 or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    return int(struct.unpack_from("=L", answer, _INODE_AT)[0]) or None


def _listed(address: tuple[str, int], listening: int) -> int | None:
    """The same from the list of all connections, which takes long where there are many."""
    host = "".join(f"{int(part):02X}" for part in reversed(address[0].split(".")))
    local, remote = f"{host}:{address[1]:04X}", f":{listening:04X}"
    with Path("/proc/net/tcp").open() as table:
        for line in table:
            fields = line.split()
            if fields[1] == local and fields[2].endswith(remote):
                return int(fields[9])
    return None


def _has(pid: int, wanted: str) -> bool:
    """Whether a process has this socket. The newest descriptors first: it has just been opened."""
    try:
        descriptors = sorted(map(int, os.listdir(f"/proc/{pid}/fd")), reverse=True)  # noqa: PTH208 - a tenth of the time
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(f"/proc/{pid}/fd/{descriptor}") == wanted:  # noqa: PTH115
                return True
        except OSError:
            continue  # closed meanwhile
    return False
