"""Many sockets that read and throw away: cheap enough not to be what is measured.

usage: receivers.py PORT COUNT websocket|raw [CONNECT_COMMAND]
Prints "connected" when all are there, then reads until stdin ends and prints the bytes received.
"""

import select
import socket
import struct
import sys


def open_socket(port: int, kind: str, command: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    if kind == "websocket":
        sock.sendall(
            b"GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        received = b""
        while b"\r\n\r\n" not in received:
            received += sock.recv(4096)
        if command:
            sock.sendall(bytes([0x81, 0x80 | len(command)]) + struct.pack("!I", 0) + command)
            sock.recv(65536)
    return sock


def main() -> None:
    port, count, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    command = sys.argv[4].encode() if len(sys.argv) > 4 else b""
    sockets = {sock.fileno(): sock for sock in (open_socket(port, kind, command) for _ in range(count))}
    poll = select.epoll()
    for number, sock in sockets.items():
        sock.setblocking(False)
        poll.register(number, select.EPOLLIN)
    poll.register(sys.stdin.fileno(), select.EPOLLIN)
    print("connected", flush=True)
    buffer = bytearray(1 << 20)
    received = 0
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                print(received, flush=True)
                return
            try:
                received += sockets[number].recv_into(buffer)
            except ConnectionResetError:
                poll.unregister(number)


if __name__ == "__main__":
    main()
