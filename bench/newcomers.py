"""A process full of clients that connect, stay, and answer pings: cheap enough not to be what is measured.

Reads a line of JSON at a time: `{"connect": [<connect command>, ...], "at_once": 32}` lets so many clients come, so
many at a time, and answers with what it took (an empty command: the upgrade is all); `{"close": true}` ends them all.
The end of input ends the process.
"""

import asyncio
import itertools
import json
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import uvloop

from bench.sender import masked
from bench.suite import prepare_process

ADDRESSES: Final = 16
"""Source addresses 127.0.0.2 and up, for more ports than one address has."""

PING: Final = b"\x81\x02{}"
PONG: Final = masked(b"{}")
PATIENCE_S: Final = 60.0
ATTEMPTS: Final = 5


class Newcomer(asyncio.Protocol):
    """One client. `done` gets the seconds from its beginning to its connect reply, or what went wrong."""

    __slots__ = ("_began", "_buffer", "_command", "_done", "_upgraded", "transport")

    def __init__(self, command: bytes, done: "asyncio.Future[float]") -> None:
        self._command = command
        self._done: asyncio.Future[float] | None = done
        self._buffer = b""
        self._upgraded = False
        self._began = time.perf_counter()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(
            b"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\n"
            b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("lost")

    def data_received(self, data: bytes) -> None:
        if self._done is None:
            if PING in data and self.transport is not None:
                self.transport.write(PONG)
            return
        self._buffer += data
        if not self._upgraded:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if head[9:12] != b"101":
                self._fail(head[9:12].decode())
                return
            self._upgraded, self._buffer = True, rest
            if not self._command:
                self._come()
            elif self.transport is not None:
                self.transport.write(self._command)
        elif self._whole():
            if b'"connect":' in self._buffer[:40]:
                self._come()
            else:
                self._fail(self._buffer[:200].decode(errors="replace"))

    def _come(self) -> None:
        if self._done is not None:
            self._done.set_result(time.perf_counter() - self._began)
        self._done, self._buffer, self._command = None, b"", b""

    def _whole(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 10:
            return False
        size = buffer[1]
        if size == 126:
            return len(buffer) >= 4 + int(struct.unpack_from("!H", buffer, 2)[0])
        if size == 127:
            return len(buffer) >= 10 + int(struct.unpack_from("!Q", buffer, 2)[0])
        return len(buffer) >= 2 + size

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(why))
        self._done = None
        if self.transport is not None:
            self.transport.abort()


class Newcomers:
    """All of one process."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._clients: list[Newcomer] = []
        self._numbers = itertools.count()

    async def connect(self, commands: Sequence[str], at_once: int) -> dict[str, Any]:
        waiting = iter(commands)
        took: list[float] = []
        refused = 0
        began, used = time.perf_counter(), time.process_time()

        async def one_after_the_other() -> None:
            nonlocal refused
            for command in waiting:
                for attempt in range(ATTEMPTS):
                    try:
                        took.append(await self._connect(masked(command.encode()) if command else b""))
                        break
                    except ConnectionError:
                        if attempt + 1 == ATTEMPTS:
                            raise
                        refused += 1
                        await asyncio.sleep(1)

        async with asyncio.timeout(PATIENCE_S + len(commands) / 50):
            await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        return {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - used,
            "took": took,
            "refused": refused,
        }

    async def _connect(self, command: bytes) -> float:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[float] = loop.create_future()
        client = Newcomer(command, done)
        address = f"127.0.0.{2 + next(self._numbers) % ADDRESSES}"
        await loop.create_connection(lambda: client, self._host, self._port, local_addr=(address, 0))
        seconds = await done
        self._clients.append(client)
        return seconds

    async def close(self) -> dict[str, Any]:
        """Without a word, as phones go. Counts those that were there still."""
        there = [one.transport for one in self._clients if one.transport is not None and not one.transport.is_closing()]
        for transport in there:
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        self._clients.clear()
        return {"closed": len(there)}


class Crowd:
    """Such a process, as a benchmark sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def connect(self, commands: Sequence[str], *, at_once: int) -> dict[str, Any]:
        """Raises RuntimeError when one of them was refused or lost."""
        return await self._ask({"connect": list(commands), "at_once": at_once})

    async def close(self) -> int:
        """How many were connected still."""
        return int((await self._ask({"close": True}))["closed"])

    async def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process was made without pipes")
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline() or b'{"error": "it ended"}')
        if "error" in answer:
            raise RuntimeError(f"the clients: {answer['error']}")
        return answer


@asynccontextmanager
async def crowd(host: str, port: int, *, core: int | None = None) -> AsyncIterator[Crowd]:
    """A process of clients, on a core of its own if one is named."""
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    process = await asyncio.create_subprocess_exec(
        *pinned,
        *(sys.executable, "-m", "bench.newcomers", host, str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    try:
        yield Crowd(process)
    finally:
        process.kill()
        await process.wait()


async def serve(host: str, port: int) -> None:
    newcomers = Newcomers(host, port)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        try:
            answer = await (
                newcomers.close() if "close" in asked else newcomers.connect(asked["connect"], asked["at_once"])
            )
        except (OSError, TimeoutError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    prepare_process()
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
