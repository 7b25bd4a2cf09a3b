"""The port that a server is to listen on: is it free, and held for processes that share it."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

_NEXT_PORTS: Final = 50


class PortUnusable(Exception):
    """Nobody can listen there. `str()` is one line that says why and what to do."""


@contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Hold a port for processes that will share it by SO_REUSEPORT; gives its number (a free one for port 0).

    The port stays ours while all of them are being started again. Nothing is accepted on the held sockets: a socket
    that does not listen takes no part. Raises PortUnusable, also when others share the port already.
    """
    if port:
        check(host, port)
    with ExitStack() as stack:
        for family, address in _addresses(host, port):
            held = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            _bind(held, (address, port), host)
            # What ended a moment ago must not keep us out, so we took the port with this option. Without it we keep it:
            # to listen there, others now have to share it knowingly.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            port = held.getsockname()[1]
        yield port


def check(host: str, port: int) -> None:
    """Raise PortUnusable if a server could not listen there now."""
    for family, address in _addresses(host, port):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            _bind(probe, (address, port), host, listen=True)


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise PortUnusable(f"{host} is no address of this machine: {error.strerror}") from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bind(new: socket.socket, address: tuple[str, int], host: str, *, listen: bool = False) -> None:
    try:
        _take(new, address, listen=listen)
    except OSError as error:
        raise PortUnusable(_explained(error, host, address[1])) from error


def _take(new: socket.socket, address: tuple[str, int], *, listen: bool) -> None:
    """Bind as asyncio does it. Some conflicts only show when one wants to listen."""
    new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if new.family == socket.AF_INET6:
        new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    new.bind(address)
    if listen:
        new.listen(1)


def _explained(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        free = _free_after(host, port)
        return f"port {port} is in use" + (f": stop what uses it, or take another (--port {free})" if free else "")
    if error.errno == errno.EACCES:
        return f"port {port} needs root: take one above 1023 (--port 8000)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: leave --host out, or give 127.0.0.1 or 0.0.0.0"
    return f"cannot listen on {host}:{port}: {error.strerror}"


def _free_after(host: str, port: int) -> int:
    """A free port soon after this one, or 0."""
    for candidate in range(port + 1, min(port + _NEXT_PORTS, 65536)):
        try:
            for family, address in _addresses(host, candidate):
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    _take(probe, (address, candidate), listen=True)
        except OSError:
            continue
        return candidate
    return 0
