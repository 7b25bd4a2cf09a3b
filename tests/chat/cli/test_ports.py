"""The port to listen on is checked, explained and held."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from chat.cli.ports import PortUnusable, check, reserved


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_one_line_with_a_free_one(taken: int) -> None:
    with pytest.raises(PortUnusable) as refused:
        check("127.0.0.1", taken)
    line = str(refused.value)
    assert line.startswith(f"port {taken} is in use: stop what uses it, or take another (--port ")
    assert "\n" not in line
    check("127.0.0.1", int(line.rpartition(" ")[2].rstrip(")")))


def test_a_port_that_is_shared_already_counts_as_taken() -> None:
    with reserved("127.0.0.1", 0) as port, pytest.raises(PortUnusable, match=f"port {port} is in use"):
        check("127.0.0.1", port)


async def test_what_ended_a_moment_ago_keeps_nobody_out() -> None:
    with reserved("127.0.0.1", 0) as port:
        server = await listen(port, b"first")  # it closes first, so the port remembers the connection for a minute
        assert await answer(port) == b"first"
        server.close()
    check("127.0.0.1", port)
    with reserved("127.0.0.1", port):
        pass


def test_nobody_else_can_listen_on_a_reserved_port() -> None:
    with reserved("127.0.0.1", 0) as port, pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", port)).close()


def test_a_foreign_address_is_one_line() -> None:
    with pytest.raises(PortUnusable, match=r"^192\.0\.2\.1 is no address of this machine: leave --host out"):
        check("192.0.2.1", 8000)


def test_a_name_that_is_none_is_one_line() -> None:
    with pytest.raises(PortUnusable, match=r"^no-such-host\.invalid is no address of this machine"):
        check("no-such-host.invalid", 8000)


async def test_processes_share_a_reserved_port_and_it_takes_no_connection_itself() -> None:
    with reserved("127.0.0.1", 0) as port:
        servers = [await listen(port, b"%d" % number) for number in range(3)]
        answers = [await answer(port) for _ in range(60)]
        assert len(set(answers)) > 1
        for server in servers:
            server.close()
        with pytest.raises(ConnectionRefusedError):
            await answer(port)
        again = await listen(port, b"again")
        assert await answer(port) == b"again"
        again.close()


async def listen(port: int, says: bytes) -> asyncio.Server:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_server(serve, "127.0.0.1", port, reuse_port=True)


async def answer(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
