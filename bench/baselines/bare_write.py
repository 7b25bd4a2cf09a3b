"""Fan-out as cheap as Python can have it: sockets of uvloop, a ready frame, and nothing around one call a receiver.
Same dialogue as send_loop.c.

usage: bare_write.py transport|os PORT RECEIVERS FRAME_BYTES
`transport` calls the transport's `write`, `os` calls `os.write` past it.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import cast

import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from dialogue import answer, ready


class Silent(asyncio.Protocol):
    """A connection that is only written to."""

    def __init__(self, transports: list[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transports.append(cast("asyncio.Transport", transport))


async def main(kind: str, port: int, receivers: int, size: int) -> None:
    transports: list[asyncio.Transport] = []
    numbers: list[int] = []
    frame, write = b"x" * size, os.write

    async def by_transport() -> None:
        for transport in transports:
            transport.write(frame)

    async def by_number() -> None:
        for number in numbers:
            write(number, frame)

    await asyncio.get_running_loop().create_server(lambda: Silent(transports), "127.0.0.1", port, backlog=4096)
    await ready(lambda: len(transports) == receivers)
    numbers += [transport.get_extra_info("socket").fileno() for transport in transports]
    await answer(by_transport if kind == "transport" else by_number)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:5])))
