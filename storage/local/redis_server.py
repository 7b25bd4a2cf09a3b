"""A redis-server as a child process, on a unix socket: no open port, no password."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from storage.local.children import ChildFailed, Command, Service
from storage.local.find import Machine, Missing, find

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


@asynccontextmanager
async def redis_server(
    directory: Path,
    *,
    path: Path | None = None,
    log: Path | None = None,
    ephemeral: bool = False,
    keep_open: tuple[int, ...] = (),
    arguments: tuple[str, ...] = (),
) -> AsyncIterator[RedisServer]:
    """A running redis-server with its files in `directory` (made if need be); stopped at the end.

    `path` is the program (None: it is looked for, ChildFailed says what helps). `ephemeral` kills instead of stopping
    and, if this process goes away, deletes `directory`. `arguments` go to redis-server. Raises ChildFailed.
    """
    if path is None:
        found = await asyncio.to_thread(find, "redis-server", Machine.here())
        if isinstance(found, Missing):
            raise ChildFailed("redis", str(found))
        path = found.path
    with ExitStack() as stack:
        directory, socket = _prepared(directory, stack)
        argv = (
            *(str(path), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
            *("--dir", str(directory), "--save", "", "--appendonly", "no", "--daemonize", "no"),
            *arguments,
        )
        command = Command(
            "redis",
            argv,
            log=log or directory / "redis.log",
            grace_s=0 if ephemeral else 5.0,
            keep_open=keep_open,
            remove_if_orphaned=directory if ephemeral else None,
        )
        server = RedisServer(command, socket)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def _prepared(directory: Path, stack: ExitStack) -> tuple[Path, Path]:
    """The absolute directory, made if need be, and a path for the socket: in it, or in /tmp if too long."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket = directory / "redis.sock"
    if len(bytes(socket)) > _MAX_SOCKET_PATH_BYTES:
        elsewhere = Path(tempfile.mkdtemp(prefix="hubbub-", dir="/tmp"))
        stack.callback(shutil.rmtree, elsewhere, ignore_errors=True)
        socket = elsewhere / "redis.sock"
    socket.unlink(missing_ok=True)  # of a run that was killed
    return directory, socket


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
