"""Free TCP ports on the loopback interface."""

import errno
import random
import socket
from typing import Final

_FIRST, _LAST = 20_000, 32_000
_ATTEMPTS: Final = 200


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now. Raises OSError for trouble other than a taken port (no such address)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        return True


def free_port(choose: random.Random | None = None) -> int:
    """A free port below the range that outgoing connections take theirs from, so that it stays free over a restart.

    Two callers at once may get the same one; a server that finds it taken fails to start. Raises OSError when all of
    200 tries are taken.
    """
    choose = choose or random.SystemRandom()
    for _ in range(_ATTEMPTS):
        port = choose.randrange(_FIRST, _LAST)
        if is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port found between {_FIRST} and {_LAST}")
