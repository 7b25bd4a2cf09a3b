"""Runs the real hub with one promise broken, or with its way to a replica set led through links. For tests only.

CHAOS_MUTANT=ack-before-write python tests/chaos/mutant_hub.py serve --config …
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any

# The product comes before tests/, which has directories of the same names.
_TESTS = Path(__file__).resolve().parents[1]
sys.path[0] = str(_TESTS.parent)
sys.path.append(str(_TESTS))


def redirect(pairs: str) -> None:
    """Connect to other ports than asked for: `27017=31001,27018=31002`, on the loopback interface."""
    ports = {int(asked): int(given) for asked, _, given in (pair.partition("=") for pair in pairs.split(","))}
    connect = socket.socket.connect

    def connect_elsewhere(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] in ("127.0.0.1", "localhost") and address[1] in ports:
            address = (address[0], ports[address[1]], *address[2:])
        connect(self, address)

    socket.socket.connect = connect_elsewhere  # type: ignore[method-assign,assignment]  # for tests


if __name__ == "__main__":
    if pairs := os.environ.get("CHAOS_REDIRECT"):
        redirect(pairs)
    if name := os.environ.get("CHAOS_MUTANT"):
        from chaos.mutants import break_promise

        break_promise(name)
    from chat.cli.main import main

    main()
