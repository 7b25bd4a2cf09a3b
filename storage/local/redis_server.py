"""A redis-server as a child process, on a unix socket: no open port, no password."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from storage.local.children import Command, Service
from storage.local.find import located

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_MAX_SOCKET_PATH_BYTES: Final = 103
_POLL_S: Final = 0.01


class RedisServer(Service):
    """One redis-server. Its data lives in memory only: a restart comes back empty, as an accelerator may."""

    def __init__(self, command: Command, socket: Path) -> None:
        super().__init__(command, self._answers, ready_within_s=15.0)
        self.socket = socket

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    async def _answers(self) -> None:
        while True:
            if await _ping(self.socket):
                return
            await asyncio.sleep(_POLL_S)


@contextmanager
def prepared_redis(
    directory: Path,
    program: Path,
    *,
    log: Path | None = None,
    ephemeral: bool = False,
    orphans_remove: Path | None = None,
    keep_open: tuple[int, ...] = (),
    arguments: tuple[str, ...] = (),
) -> Iterator[RedisServer]:
    """A redis-server that is not started yet, with its files in `directory` (made if need be).

    At the end of the block what it needed besides is removed. Arguments as for
    `redis_server`.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _socket_in(directory) as socket:
        argv = (
            *(str(program), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--dir", str(directory), "--save", "", "--appendonly", "no", "--daemonize", "no"),
            *arguments,
        )
        command = Command(
            "redis",
            argv,
            log=log or directory / "redis.log",
            grace_s=0 if ephemeral else 5.0,
            keep_open=keep_open,
            remove_if_orphaned=(orphans_remove or directory) if ephemeral else None,
        )
        yield RedisServer(command, socket)


@asynccontextmanager
async def redis_server(
    directory: Path, *, program: Path | None = None, ephemeral: bool = False, arguments: tuple[str, ...] = ()
) -> AsyncIterator[RedisServer]:
    """A running redis-server with its files in `directory` (made if need be); stopped at the end. It is not watched.

    `program` is the binary (None: it is looked for, ChildFailed says what helps). `ephemeral` kills instead of
    stopping and, if this process goes away, deletes `directory`. `arguments` go to redis-server. Raises ChildFailed.
    """
    if program is None:
        program = await asyncio.to_thread(located, "redis-server")
    with prepared_redis(directory, program, ephemeral=ephemeral, arguments=arguments) as server:
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@contextmanager
def _socket_in(directory: Path) -> Iterator[Path]:
    """A path for a socket: in the directory, or in a private one in /tmp when that is too long."""
    socket = directory / "redis.sock"
    if len(bytes(socket)) <= _MAX_SOCKET_PATH_BYTES:
        socket.unlink(missing_ok=True)  # of a run that was killed
        yield socket
        return
    with tempfile.TemporaryDirectory(prefix="hubbub-", dir="/tmp", ignore_cleanup_errors=True) as elsewhere:
        yield Path(elsewhere) / "redis.sock"


async def _ping(socket: Path) -> bool:
    """Whether the server answers PING. False while it is starting or loading."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except (FileNotFoundError, ConnectionError):
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except ConnectionError:
        return False
    finally:
        writer.transport.abort()
