"""A client on a bare socket, for peers that do what no WebSocket library would: not read, or vanish."""

import asyncio
import json
import socket
import struct


async def raw_client(url: str, *commands: object) -> socket.socket:
    """Upgrade and send commands, each in a frame of its own; nothing is read, and the receive buffer is small."""
    host, port = url.removeprefix("ws://").split("/")[0].split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (host, int(port)))
    upgrade = (
        "GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await loop.sock_sendall(raw, upgrade.encode())
    for command in commands:
        await loop.sock_sendall(raw, frame_of(command))
    return raw


def frame_of(command: object) -> bytes:
    """A masked text frame (the mask is zero) around a small command."""
    data = json.dumps(command).encode()
    assert len(data) < 126
    return bytes([0x81, 0x80 | len(data)]) + struct.pack("!I", 0) + data


def messages_of(data: bytes) -> list[dict[str, object]]:
    """The JSON messages in what a server sent after its upgrade; a frame that is not whole at the end is left out."""
    data = data.partition(b"\r\n\r\n")[2]
    messages: list[dict[str, object]] = []
    while len(data) > 10:
        size, header = data[1], 2
        if size == 126:
            size, header = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, header = int.from_bytes(data[2:10]), 10
        if len(data) < header + size:
            break
        messages += [json.loads(line) for line in data[header : header + size].split(b"\n")]
        data = data[header + size :]
    return messages


def vanish(raw: socket.socket) -> None:
    """End the connection without a word of the protocol: the peer gets a reset."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
