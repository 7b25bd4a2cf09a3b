"""A load generator for sends: many connections in one process, each with one message on its way at a time.

Speaks the protocol with ready-made frames, so that it is not what is measured.
"""

import asyncio
import json
import os
import struct


class Connection:
    """One JSON connection that sends commands one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._next_id = 0

    @classmethod
    async def open(cls, host: str, port: int, token: str) -> "Connection":
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            f"GET /connection/websocket HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionError(head.decode(errors="replace"))
        connection = cls(reader, writer)
        # The server's pings are not answered: runs are shorter than its patience, told by the `pong` it asks for.
        await connection.call("connect", {"token": token})
        return connection

    async def call(self, command: str, fields: dict[str, object]) -> dict[str, object]:
        """Send a command and wait for its reply, passing over whatever is pushed meanwhile."""
        self._next_id += 1
        wanted = f'"id":{self._next_id}'.encode()
        self._writer.write(masked(json.dumps({"id": self._next_id, command: fields}).encode()))
        while True:
            payload = await self._frame()
            if payload == b"{}":
                self._writer.write(masked(b"{}"))
                continue
            for line in payload.split(b"\n"):
                if wanted in line[:24]:
                    reply: dict[str, object] = json.loads(line)
                    return reply

    async def drain_forever(self) -> None:
        """Read and throw away, for receivers."""
        while True:
            if await self._frame() == b"{}":
                self._writer.write(masked(b"{}"))

    async def _frame(self) -> bytes:
        head = await self._reader.readexactly(2)
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", await self._reader.readexactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", await self._reader.readexactly(8))[0]
        payload = await self._reader.readexactly(size)
        if head[0] & 0x0F == 8:
            raise ConnectionError(f"closed: {payload[:120]!r}")
        return payload

    def close(self) -> None:
        self._writer.close()


def masked(payload: bytes) -> bytes:
    """A client's text frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + b"\0\0\0\0" + payload
    if size < 65536:
        return struct.pack("!BBH", 0x81, 0xFE, size) + b"\0\0\0\0" + payload
    return struct.pack("!BBQ", 0x81, 0xFF, size) + b"\0\0\0\0" + payload


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, from /proc."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - read many times a run
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
