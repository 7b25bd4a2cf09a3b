"""WebSocket frames as no library would write them, and a bare socket to send them over."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from support.waiting import PATIENCE_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    declared: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """A frame of a client. `declared`: the length it claims; `length_bytes`: in how many bytes (0, 2, 8) it does so."""
    size = len(payload) if declared is None else declared
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    extended = {0: b"", 2: struct.pack("!H", size & 0xFFFF), 8: struct.pack("!Q", size)}[length_bytes]
    head = bytes([first, (0x80 if masked else 0) | short]) + extended
    return head + MASK + mask(payload) if masked else head + payload


def mask(payload: bytes) -> bytes:
    return bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return struct.pack("!H", code) + reason


UPGRADE = (
    ("Host", "x"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
"""The headers of a handshake with nothing wrong in it."""


def handshake(*extra: tuple[str, str], line: str = "GET /connection/websocket HTTP/1.1") -> bytes:
    """An upgrade request: the usual headers, those in `extra` instead of or (in lists) beside the one of their name."""
    headers = [pair for pair in UPGRADE if pair[0].lower() not in {name.lower() for name, _ in extra}]
    lines = [line, *(f"{name}: {value}" for name, value in (*headers, *extra))]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"


@dataclass
class RawSocket:
    """A TCP connection that answers nothing by itself. `head` is the answer to the handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""
    messages: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def upgrade(self, request: bytes | None = None) -> None:
        await self.send(handshake() if request is None else request)
        async with asyncio.timeout(PATIENCE_S):
            self.head = await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of the server."""
        async with asyncio.timeout(PATIENCE_S):
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
            self.messages.append((first & 0x0F, await self.reader.readexactly(size)))
        return self.messages[-1]

    async def closed(self) -> int:
        """Read to the end: the code of the server's close frame, 1006 where the connection ended without one."""
        code = 1006
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    code = int.from_bytes(payload[:2])
                    assert len(payload) > 2, "a close without a reason"
                    # Whatever we still send, nothing may come after it.
                    async with asyncio.timeout(PATIENCE_S):
                        assert not await self.reader.read()
                    return code
        except (asyncio.IncompleteReadError, ConnectionError):
            return code

    async def rest(self) -> bytes:
        """All that still comes until the server ends the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def raw_socket(
    url: str, *, upgrade: bool = True, headers: tuple[tuple[str, str], ...] = ()
) -> AsyncIterator[RawSocket]:
    """A connection to the host of `url`, upgraded unless told otherwise."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    raw = RawSocket(reader, writer)
    try:
        if upgrade:
            await raw.upgrade(handshake(*headers, line=f"GET {address.path} HTTP/1.1"))
            assert raw.status == 101, raw.head
        yield raw
    finally:
        writer.transport.abort()
