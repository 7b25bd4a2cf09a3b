"""Push services that do what none should: each on a port of its own, by https. Anybody can have one of these.

They look at nothing that they are sent. What counts is when they were asked, and how much of an answer was taken.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

HOST: Final = "localhost"
_PIECE: Final = b"x" * 65536
_MAX_HEAD_BYTES: Final = 65536

Behaviour: TypeAlias = Callable[["Hostile", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Hostile:
    """One of them, made by `open_hostile`. `asked`: when each whole request came (`time.monotonic`)."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.port = 0
        self.asked: list[float] = []
        self.answered: list[float] = []
        self.most_taken = 0
        """Bytes of a single answer that left here before the other side had enough."""
        self.behaviour: Behaviour = says(500)
        self._context = context
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def host(self) -> str:
        """With its port."""
        return f"{HOST}:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"https://{self.host}/push/somebody"

    def behave(self, behaviour: Behaviour) -> "Hostile":
        """From now on; whatever was before is forgotten."""
        self.behaviour = behaviour
        self.asked, self.answered, self.most_taken = [], [], 0
        return self

    async def open(self) -> None:
        self._server = await asyncio.start_server(
            self._accepted, "127.0.0.1", 0, ssl=self._context, limit=_MAX_HEAD_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name=f"hostile-{self.port}")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Whoever has enough of it may leave at any time.
            with contextlib.suppress(OSError, EOFError, ssl.SSLError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(_length(head))
                    self.asked.append(time.monotonic())
                    await self.behaviour(self, reader, writer)
                    self.answered.append(time.monotonic())
        finally:
            writer.transport.abort()


def says(status: int, *headers: str) -> Behaviour:
    """This answer, to everything."""

    async def behave(_hostile: Hostile, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, "Content-Length: 0", *headers))
        await writer.drain()

    return behave


def busy(after_s: int, *, times: int) -> Behaviour:
    """429 with Retry-After so many times, then it takes everything."""

    async def behave(hostile: Hostile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refuses = len(hostile.asked) <= times
        answer = says(429, f"Retry-After: {after_s}") if refuses else says(201)
        await answer(hostile, reader, writer)

    return behave


async def hangs(_hostile: Hostile, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """No answer, until the other side leaves."""
    await reader.read()
    raise EOFError


async def resets(_hostile: Hostile, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The connection is gone at once, without a farewell."""
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise EOFError


def floods(size_bytes: int) -> Behaviour:
    """It is taken, says an answer of so many bytes."""

    async def behave(hostile: Hostile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(201, f"Content-Length: {size_bytes}"))
        taken = 0
        while taken < size_bytes:
            writer.write(_PIECE)
            await writer.drain()
            # A connection that is lost is heard of in the next turn of the loop; until then all is thrown away here.
            await asyncio.sleep(0)
            if reader.at_eof() or writer.is_closing():
                raise EOFError
            taken += len(_PIECE)
            hostile.most_taken = max(hostile.most_taken, taken)

    return behave


def _head(status: int, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} so", *headers, "", "")).encode()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


@asynccontextmanager
async def open_hostile(context: ssl.SSLContext) -> AsyncIterator[Hostile]:
    """Listens until exit, with this context of a server."""
    hostile = Hostile(context)
    await hostile.open()
    try:
        yield hostile
    finally:
        await hostile.close()
