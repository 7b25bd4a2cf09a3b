"""The processes of a cluster: hubs, workers, mongods, Redis. Each behind a guard, so that none is ever left behind."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from chaos.fault import Link
from storage.local.children import Command, Service

Observe = Callable[[str, str], None]
"""Called with a server's name and what became of it: started, ready, frozen, thawed, killed, told to end, ended."""

_POLL_S: Final = 0.05
_ASK_S: Final = 2.0
_SAMPLE: Final = re.compile(r"^([a-zA-Z_:][^ ]*(?:\{.*\})?) ([^ ]+)(?: \d+)?$")


class ChildServer:
    """Implements `fault.Server` over a service of the local mode. It keeps port and data over its runs."""

    def __init__(self, name: str, service: Service, observe: Observe) -> None:
        self.name = name
        self._service = service
        self._command = service.command
        self._observe = observe
        self._watch: asyncio.Task[None] | None = None
        self._expected = False
        self.died: list[str] = []
        """Ends that nobody here asked for."""

    @property
    def pid(self) -> int:
        return self._service.pid

    @property
    def running(self) -> bool:
        return self._service.running

    @property
    def command(self) -> Command:
        return self._command

    @contextlib.contextmanager
    def may_end(self) -> Iterator[None]:
        """An end by itself is no surprise inside the block."""
        self._expected = True
        try:
            yield
        finally:
            self._expected = not self.running

    def freeze(self) -> None:
        self._observe(self.name, "frozen")
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        self._observe(self.name, "thawed")

    async def kill(self) -> None:
        self._expected = True
        self._observe(self.name, "killed")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await self._service.exited()
        await self._noted()

    async def end(self) -> int:
        self._expected = True
        self._observe(self.name, "told to end")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        code = (await self._service.exited()).code
        await self._noted()
        self._observe(self.name, "ended")
        return -1 if code is None else code

    async def start(self, *, wrapped: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        base = self._command
        argv, mine = (*wrapped, *base.argv), {**(base.environment or os.environ), **(environment or {})}
        self._service.command = replace(base, argv=argv, environment=mine)
        self._expected = False
        self._observe(self.name, "started")
        await self._service.start()
        self._watch = asyncio.create_task(self._note_end(), name=f"watch {self.name}")
        self._observe(self.name, "ready")

    async def close(self) -> None:
        """Kill it at once."""
        self._expected = True
        await self._service.stop(now=True)
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})

    async def _noted(self) -> None:
        """The end was asked for; whoever starts it next must not find it taken for another one."""
        if self._watch is not None:
            await asyncio.wait({self._watch})

    async def _note_end(self) -> None:
        how = await self._service.exited()
        if not self._expected:
            self.died.append(f"{self.name}: {how}")
            self._observe(self.name, f"died: {how}")

    def descriptors(self) -> int:
        """Open file descriptors of the process; 0 when it is gone."""
        try:
            return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
        except OSError:
            return 0

    def resident_bytes(self) -> int:
        """Memory that the process holds; 0 when it is gone."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return 0


class HubServer(ChildServer):
    """Implements `fault.Hub`."""

    def __init__(
        self,
        name: str,
        command: Command,
        observe: Observe,
        *,
        port: int,
        clients: Link,
        to_redis: Link,
        to_mongodb: Link,
    ) -> None:
        super().__init__(name, Service(command, self._answers, ready_within_s=90.0), observe)
        self.port = port
        self.clients = clients
        self.to_redis = to_redis
        self.to_mongodb = to_mongodb

    @property
    def http(self) -> str:
        """Where the harness itself asks the hub, past the clients' link."""
        return f"http://127.0.0.1:{self.port}"

    async def metrics(self) -> Mapping[str, float]:
        return samples((await self._get("/metrics"))[1])

    async def readiness(self) -> tuple[int, str]:
        try:
            return await self._get("/readyz")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, ""

    async def _get(self, path: str) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=_ASK_S)
        async with aiohttp.ClientSession(self.http, timeout=timeout) as session, session.get(path) as response:
            return response.status, await response.text()

    async def _answers(self) -> None:
        while (await self.readiness())[0] != 200:
            await asyncio.sleep(_POLL_S)


def waited_s(pid: int) -> float:
    """How long the thread of a process that waited most could have run and was given no processor; 0 if it is gone."""
    longest_ns = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                longest_ns = max(longest_ns, int((task / "schedstat").read_text().split()[1]))
    except OSError:
        return 0.0
    return longest_ns / 1e9


def slowness(pid: int) -> float:
    """How many times as long as with a processor of its own the first thread of a process has taken; 1 at least."""
    try:
        ran, waited, _ = (int(field) for field in Path(f"/proc/{pid}/schedstat").read_text().split())
    except (OSError, ValueError):
        return 1.0
    return (ran + waited) / max(ran, 1)


def samples(exposition: str) -> dict[str, float]:
    """Prometheus' text format as a mapping; labels stay in the name."""
    found: dict[str, float] = {}
    for line in exposition.splitlines():
        if not line.startswith("#") and (match := _SAMPLE.match(line)) is not None:
            with contextlib.suppress(ValueError):
                found[match[1]] = float(match[2])
    return found


def redis_service(port: int, directory: Path, program: Path, log: Path) -> Service:
    """A Redis on a port of its own that keeps nothing over a restart. `Service` starts it."""
    directory.mkdir(parents=True, exist_ok=True)
    argv = (
        *(str(program), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)),
        *("--save", "", "--appendonly", "no", "--daemonize", "no"),
    )
    command = Command("redis", argv, log=log, grace_s=0)
    return Service(command, _pong(port), ready_within_s=20.0)


def _pong(port: int) -> Callable[[], Awaitable[None]]:
    async def answers() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"PING\r\n")
                    if await reader.readline() == b"+PONG\r\n":
                        return
                finally:
                    writer.transport.abort()
            await asyncio.sleep(_POLL_S)

    return answers
