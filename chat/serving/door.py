"""The port of a process: bound once, and served by one application after another.

It is open from the start, before there is anything behind it: whoever asks is told that it takes a moment, and an
orchestrator sees a process that lives. What waits in the kernel's queue while one application takes over from the other
is served by the new one.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from chat.config import Config
from chat.config.server import ServerSection
from chat.http.deadlines import timed
from chat.http.malformed import RequestLog
from chat.serving.tls import Certificate
from realtime.wire import prepare_listener

BACKLOG: Final = 1024
HANDSHAKE_TIMEOUT_S: Final = 10.0
TLS_CLOSE_TIMEOUT_S: Final = 1.0
"""How long a peer may take to say goodbye by TLS. Who does not read does not hold up the end."""

_HANDLING: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "access_log": None,
        "logger": RequestLog(),
        "keepalive_timeout": 75.0,
        # Bodies are small and come as they are: nothing is unpacked, a bomb least of all.
        "auto_decompress": False,
    }
)
"""How every connection is handled."""

_NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class Door:
    """Made by `open_door`. `port` is the number, also where the system chose it."""

    def __init__(self, sockets: list[socket.socket], certificate: Certificate | None) -> None:
        self._sockets = sockets
        self._servers: list[asyncio.Server] = []
        self.certificate = certificate
        self.port: int = sockets[0].getsockname()[1]

    @asynccontextmanager
    async def serving(self, app: web.Application) -> AsyncIterator[web.AppRunner]:
        """Let an application answer until the block ends. One at a time."""
        runner = web.AppRunner(
            app,
            handle_signals=False,
            # Requests in flight are waited for by whoever drains; what is left then has had its time.
            shutdown_timeout=1.0,
            **_HANDLING,
        )
        await runner.setup()
        try:
            await self._listen(runner.server)
            yield runner
        finally:
            self._turn_away()
            await runner.cleanup()

    async def _listen(self, server: web.Server | None) -> None:
        loop = asyncio.get_running_loop()
        secure = None if self.certificate is None else self.certificate.context
        if server is None:
            raise RuntimeError("the runner was not set up")
        for sock in self._sockets:
            self._servers.append(
                await loop.create_server(
                    timed(server, _HANDLING),
                    # A copy, which ends with this application; the port stays.
                    sock=sock.dup(),
                    backlog=BACKLOG,
                    ssl=secure,
                    ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if secure else None,
                    ssl_shutdown_timeout=TLS_CLOSE_TIMEOUT_S if secure else None,
                )
            )

    async def show(self, config: Config) -> None:
        """Show the certificate of a configuration that was checked to those who come from now on."""
        if self.certificate is not None and config.server.tls.certificate:
            self.certificate.use(config.server.tls)

    def close(self) -> None:
        """Take no more connections; those there are go on."""
        self._turn_away()
        for sock in self._sockets:
            sock.close()

    def _turn_away(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()


@asynccontextmanager
async def open_door(server: ServerSection) -> AsyncIterator[Door]:
    """Bind and listen. Raises OSError where that is not possible, TlsUnusable for a certificate of no use."""
    certificate = Certificate(server.tls) if server.tls.certificate else None
    async with AsyncExitStack() as stack:
        door = Door(bound(server.host, server.port, shared=server.workers > 1), certificate)
        stack.callback(door.close)
        if certificate is not None:
            watching = asyncio.create_task(certificate.watch(), name="watch-certificate")
            stack.callback(watching.cancel)
        yield door


def bound(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    """Listening sockets for every address of `host` (empty: all there are). Raises OSError if there is none."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, address in dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found):
        try:
            one = socket.create_server((address, port), family=family, backlog=BACKLOG, reuse_port=shared)
        except OSError as error:
            failure = error
            if error.errno in _NOT_HERE:
                continue  # a family that this machine knows by name only
            for other in sockets:
                other.close()
            raise
        one.setblocking(False)
        prepare_listener(one)
        port = one.getsockname()[1]
        sockets.append(one)
    if not sockets:
        raise failure or OSError(f"{host} is no address")
    return sockets
