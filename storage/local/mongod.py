"""A mongod as a child process: a replica set of one on the loopback interface, with transactions and change streams."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from storage.local.children import LAST_LINES, Command, Service
from storage.local.find import located
from storage.local.ports import free_port, is_free

_REPLICA_SET: Final = "rs0"
_NOT_YET_INITIALIZED: Final = 94
_INVALID_REPLICA_SET_CONFIG: Final = 93
_REMOVED: Final = 10
_START_TO_END_LINES: Final = 400  # a start that fails and the orderly end after it
_POLL_S: Final = 0.02


class Mongod(Service):
    """One mongod. It keeps its port over restarts."""

    def __init__(self, command: Command, port: int) -> None:
        super().__init__(command, self._is_primary, ready_within_s=60.0)
        self.port = port

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={_REPLICA_SET}"

    def last_lines(self) -> tuple[str, ...]:
        return readable(self.child.last_lines(_START_TO_END_LINES))[-LAST_LINES:]

    async def _is_primary(self) -> None:
        """Return once it takes writes; makes it a replica set of one the first time."""
        await _listening(self.port)
        url = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=30_000) as client:
            while True:
                with contextlib.suppress(
                    PyMongoError
                ):  # it may close connections as it starts; the caller has a deadline
                    hello = await client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return
                    if "setName" not in hello:
                        await self._make_replica_set(client)
                await asyncio.sleep(_POLL_S)

    async def _make_replica_set(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
        try:
            status = await client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code == _NOT_YET_INITIALIZED:
                await client.admin.command("replSetInitiate", {"_id": _REPLICA_SET, "members": members})
                return
            if error.code != _INVALID_REPLICA_SET_CONFIG:
                raise
        else:
            if status.get("myState") != _REMOVED:
                return
        # The data is of a run on another port: the one member that it knows is no longer this one.
        config = await client.local["system.replset"].find_one()
        version = config["version"] + 1 if config else 1
        await client.admin.command(
            "replSetReconfig", {"_id": _REPLICA_SET, "version": version, "members": members}, force=True
        )


def prepared_mongod(
    directory: Path,
    program: Path,
    *,
    log: Path | None = None,
    ephemeral: bool = False,
    orphans_remove: Path | None = None,
    test_commands: bool = False,
    keep_open: tuple[int, ...] = (),
    parameters: Mapping[str, str] | None = None,
    arguments: tuple[str, ...] = (),
) -> Mongod:
    """A mongod that is not started yet, with its data in `directory` (made if need be). Arguments as for `mongod`."""
    directory, port = _prepared(directory)
    settings = {
        "diagnosticDataCollectionEnabled": "false",
        "ttlMonitorSleepSecs": "5",
        # Whoever is killed within a transaction leaves it open, and what it wrote locked, for this long (60 by itself).
        "transactionLifetimeLimitSeconds": "10",
        # Nobody can take over from the only member, so a stop need not wait for it.
        "shutdownTimeoutMillisForSignaledShutdown": "100",
        **({"enableTestCommands": "1"} if test_commands else {}),
        **(parameters or {}),
    }
    argv = (
        *(str(program), "--dbpath", str(directory / "db"), "--port", str(port), "--bind_ip", "127.0.0.1"),
        *("--nounixsocket", "--quiet", "--replSet", _REPLICA_SET, "--oplogSize", "64"),
        *("--wiredTigerCacheSizeGB", "0.25", "--wiredTigerCollectionBlockCompressor", "zstd"),
        *(word for name, value in settings.items() for word in ("--setParameter", f"{name}={value}")),
        *arguments,
    )
    command = Command(
        "mongod",
        argv,
        log=log or directory / "mongod.log",
        grace_s=0 if ephemeral else 10.0,
        keep_open=keep_open,
        remove_if_orphaned=(orphans_remove or directory) if ephemeral else None,
    )
    return Mongod(command, port)


@asynccontextmanager
async def mongod(
    directory: Path,
    *,
    program: Path | None = None,
    ephemeral: bool = False,
    test_commands: bool = False,
    parameters: Mapping[str, str] | None = None,
    arguments: tuple[str, ...] = (),
) -> AsyncIterator[Mongod]:
    """A running mongod with its data in `directory` (made if need be); stopped at the end. It is not watched.

    `program` is the binary (None: it is looked for, ChildFailed says what helps). `ephemeral` kills instead of
    stopping and, if this process goes away, deletes `directory`. `test_commands` enables fail points. `parameters` are
    set at the start (`--setParameter`), `arguments` are further ones of the command line. Raises ChildFailed.
    """
    if program is None:
        program = await asyncio.to_thread(located, "mongod")
    server = prepared_mongod(
        directory,
        program,
        ephemeral=ephemeral,
        test_commands=test_commands,
        parameters=parameters,
        arguments=arguments,
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _prepared(directory: Path) -> tuple[Path, int]:
    """The absolute directory, with what mongod needs in it, and a port: that of the last run, if it is free.

    Clients that were left running then find the server again.
    """
    directory = directory.resolve()
    (directory / "db").mkdir(parents=True, exist_ok=True, mode=0o700)
    memory = directory / "port"
    with contextlib.suppress(FileNotFoundError, ValueError):
        port = int(memory.read_text())
        if is_free(port):
            return directory, port
    port = free_port()
    memory.write_text(f"{port}\n")
    return directory, port


async def _listening(port: int) -> None:
    """Wait until something accepts connections there. Far quicker to notice than through a driver's back-off."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            await asyncio.sleep(_POLL_S)
        else:
            writer.transport.abort()
            return


def readable(lines: tuple[str, ...]) -> tuple[str, ...]:
    """mongod's JSON log lines as people read them; errors only, if there are any."""
    parsed: list[tuple[str, str]] = []
    for line in lines:
        try:
            entry = json.loads(line)
            detail = json.dumps(entry["attr"]) if entry.get("attr") else ""
            parsed.append((str(entry["s"]), f"{entry['msg']} {detail}".rstrip()))
        except (ValueError, KeyError, TypeError):
            parsed.append(("F", line))
    severe = tuple(text for severity, text in parsed if severity in {"E", "F"})
    return severe or tuple(text for _, text in parsed)
