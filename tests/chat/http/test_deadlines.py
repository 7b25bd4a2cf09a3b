"""Every wait for the peer of an HTTP connection has an end, seen from bare sockets."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.http import deadlines, decoding, uploads
from chat.http.deadlines import BODY_PACE, UPLOAD_PACE, Pace
from support.app import App, serve_app, test_config
from support.waiting import eventually

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def own(mongodb_url, database_name, redis_url, redis_prefix):
    async with serve_app(test_config(mongodb_url, database_name, redis_url, redis_prefix)) as app:
        yield app


@asynccontextmanager
async def opened(app: App, *, receive_buffer: int = 0) -> AsyncIterator[Streams]:
    host, port = app.http.removeprefix("http://").split(":")
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the server ended the connection; a reset is an end."""
    received = bytearray()
    async with asyncio.timeout(30):
        try:
            while chunk := await reader.read(65_536):
                received += chunk
        except ConnectionResetError:
            pass
    return bytes(received)


async def trickle(writer: asyncio.StreamWriter, data: bytes, every_s: float) -> None:
    """A byte at a time, as long as anybody takes them."""
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(every_s)


def server_sockets(app: App) -> int:
    """Established connections of this process to the server's port, as the kernel has them."""
    port = f":{app.running.port:04X}"
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] in ("01", "04", "05", "08", "09") for row in rows)


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["nothing", "half headers"])
async def test_who_does_not_ask_is_cut_off(own, monkeypatch, sent):
    monkeypatch.setattr(deadlines, "HEADERS_TIMEOUT_S", 0.3)
    async with opened(own) as (reader, writer):
        writer.write(sent)
        trickling = asyncio.create_task(trickle(writer, b"a" * 1000, 0.02)) if sent else None
        assert await ended(reader) == b""
        if trickling is not None:
            trickling.cancel()


async def test_who_asked_in_time_stays_for_the_next_request(own, monkeypatch):
    monkeypatch.setattr(deadlines, "HEADERS_TIMEOUT_S", 0.2)
    async with opened(own) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b'"ok"}')).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.4)  # longer than the first headers may take


async def test_a_body_at_a_byte_a_moment_is_408_and_the_connection_ends(own, monkeypatch):
    monkeypatch.setattr(decoding, "BODY_PACE", Pace(0.3, 1000))
    head = (
        f"POST /v1/rpc/user.get HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {own.token('alice')}\r\n"
        "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    )
    async with opened(own) as (reader, writer):
        writer.write(head.encode())
        trickling = asyncio.create_task(trickle(writer, b"{" + b" " * 5000, 0.02))
        answer = await ended(reader)
        trickling.cancel()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer


async def test_an_upload_at_a_byte_a_moment_is_cut_off(own, monkeypatch):
    monkeypatch.setattr(uploads, "UPLOAD_PACE", Pace(0.3, 1000))
    async with own.rest("alice") as alice:
        asked = {"name": "a.txt", "content_type": "text/plain", "size_bytes": 5000, "idempotency_key": "k"}
        put = (await (await alice.post("/v1/uploads", json=asked)).json())["put"]
    path = put["url"].removeprefix(own.http)
    path = path[path.index("/uploads/") :]
    async with opened(own) as (reader, writer):
        writer.write(
            f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n".encode()
        )
        trickling = asyncio.create_task(trickle(writer, b"a" * 5000, 0.02))
        answer = await ended(reader)
        trickling.cancel()
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_who_does_not_take_the_answer_is_reset_and_nothing_of_it_stays(own, monkeypatch):
    """Requests for a large document, pipelined, by somebody who reads nothing: more than the kernel holds for one."""
    monkeypatch.setattr(deadlines, "ANSWER_TIMEOUT_S", 0.5)
    before = server_sockets(own)
    async with opened(own, receive_buffer=4096) as (reader, writer):
        writer.transport.pause_reading()
        for _ in range(64):
            writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: server_sockets(own) == before)
        del reader


async def test_an_idle_connection_that_takes_nothing_is_reset_when_it_is_to_end(own, monkeypatch):
    """What aiohttp does by itself waits for the buffer: a connection that is closed while its peer does not read."""
    monkeypatch.setattr(deadlines, "LEAVE_TIMEOUT_S", 0.5)
    before = server_sockets(own)
    async with opened(own, receive_buffer=4096) as (_, writer):
        writer.transport.pause_reading()
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await eventually(lambda: server_sockets(own) == before)


@given(st.integers(0, 1 << 30))
def test_a_body_never_gets_longer_than_its_pace(received):
    for pace in (BODY_PACE, UPLOAD_PACE):
        assert pace.allowed_s(0) == pace.grace_s <= 20
        assert pace.allowed_s(received) - pace.grace_s == received / pace.bytes_per_s


def test_a_byte_a_second_is_about_as_good_as_nothing():
    started = time.monotonic()
    sent = 0
    while sent < BODY_PACE.allowed_s(sent):
        sent += 1  # a byte a second
    assert sent <= 11
    assert time.monotonic() - started < 5
