"""Telling connections apart by process."""

import os
import socket

from chaos import peers


def test_a_connection_is_known_by_its_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0] as accepted:
            address = accepted.getpeername()
            assert peers.process_of(address, port, [os.getppid(), os.getpid()]) == os.getpid()
            assert peers.process_of(address, port, [os.getppid()]) is None
            assert peers._listed(address, port) == peers._asked(address, port) is not None
