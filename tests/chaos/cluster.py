"""A whole deployment of real processes: hubs and a worker of this clone, mongod, Redis, and the links between them."""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from chaos.configuring import DATABASE, PHONES_KEY, PHONES_SETTINGS, SECRET, SETTINGS, environment, hubbub, toml
from chaos.doors import Links, Opened, opened
from chaos.fault import Link, Server, Topology, Traffic
from chaos.members import open_members
from chaos.pocket import Pocket, open_pocket
from chaos.proxy import ProxyLink
from chaos.replica_set import Member
from chaos.servers import ChildServer, HubServer, Observe, redis_service
from chaos.told import ToldLink
from chat.auth.mint import connection_token
from chat.config import Secret
from chat.push.lab.whereabouts import LAB_VARIABLE
from storage.local.children import Command, Service
from storage.local.find import located
from storage.local.ports import free_port
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from support.servers import short_directory

_ROOT: Final = Path(__file__).resolve().parents[2]

LAUNCHER: Final = Path(__file__).with_name("mutant_hub.py")
TOKEN_TTL_S: Final = 3600.0


@dataclass
class LiveCluster:
    """Implements `fault.Cluster`. `directory` has the logs; `happened` is every start, stop and freeze, in order."""

    topology: Topology
    directory: Path
    hubs: Sequence[HubServer] = ()
    workers: Sequence[ChildServer] = ()
    mongods: Sequence[Member] = ()
    redises: Sequence[ChildServer] = ()
    redis_ports: Sequence[int] = ()
    links: list[ProxyLink] = field(default_factory=list)
    observers: list[Observe] = field(default_factory=list)
    pocket: Pocket | None = None
    """Where the topology has phones."""
    _client_ports: dict[str, int] = field(default_factory=dict)

    @property
    def servers(self) -> Sequence[ChildServer | Member]:
        return (*self.hubs, *self.workers, *self.mongods, *self.redises)

    @property
    def mongodb_url(self) -> str:
        """Past the hubs' links."""
        return _direct(self.mongods)

    def observe(self, name: str, what: str) -> None:
        for observer in self.observers:
            observer(name, what)

    async def mongo(self, command: Mapping[str, object], *, member: int | None = None) -> Mapping[str, object]:
        number = await self._primary() if member is None else member
        async with self._client(number) as client:
            answer: Mapping[str, object] = await client.admin.command(dict(command))
            return answer

    async def redis(self, *command: str) -> object:
        client = Redis(port=self.redis_ports[0], socket_timeout=5.0)
        async with client:
            return cast("object", await client.execute_command(*command))  # type: ignore[no-untyped-call]  # as redis-py has it

    @asynccontextmanager
    async def primary(self) -> AsyncIterator[Server]:
        yield self.mongods[await self._primary()]

    async def _primary(self) -> int:
        for number, member in enumerate(self.mongods):
            if not member.running:
                continue
            with contextlib.suppress(Exception):  # frozen, starting, on its way down: not the one
                async with self._client(number) as client:
                    if (await client.admin.command("hello")).get("isWritablePrimary"):
                        return number
        raise LookupError("no member takes writes")

    @asynccontextmanager
    async def _client(self, number: int) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
        url = f"mongodb://127.0.0.1:{self.mongods[number].port}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=3000) as client:
            yield client

    def client_ports(self) -> dict[str, int]:
        """Where clients reach each hub."""
        return dict(self._client_ports)

    def token(self, user: str, *, ttl_s: float = TOKEN_TTL_S) -> str:
        return connection_token(user, Secret(SECRET), now_s=time.time(), ttl_s=ttl_s)

    def died(self) -> list[str]:
        """Ends of processes that no fault asked for."""
        return [told for server in self.servers for told in server.died]

    def tracebacks(self, *, since: Mapping[Path, int] | None = None) -> list[str]:
        """Lines of the hubs' and workers' logs with a traceback; `since` has the bytes that are old news."""
        found: Counter[str] = Counter()
        for path in sorted(self.directory.glob("*.log")):
            if path.name.startswith(("mongod", "redis")):
                continue
            with path.open("rb") as file:
                file.seek((since or {}).get(path, 0))
                found.update(
                    f"{path.name}: {_brief(line.decode(errors='replace'))}"
                    for line in file
                    if b"Traceback (most recent call last)" in line
                )
        return [told if times == 1 else f"{told} ({times} times)" for told, times in found.items()]

    def log_sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self.directory.glob("*.log")}

    async def as_before(self) -> None:
        """Undo what a fault may have left: links pass, the frozen are thawed, the dead are started."""
        for hub in self.hubs:
            hub.clients.set(Traffic.PASS)
        for link in self.links:
            link.set(Traffic.PASS)
            link.delay(0.0)
            link.rate(None)
            link.chop(None)
        for server in self.servers:
            if server.running:
                server.thaw()
        for server in (*self.mongods, *self.redises, *self.hubs, *self.workers):
            if not server.running:
                await server.start()


def _brief(line: str) -> str:
    """What a log line with a traceback says: its event and the last line of the traceback."""
    try:
        record = json.loads(line)
    except ValueError:
        return line.strip()
    last = str(record.get("exception", "")).strip().rpartition("\n")[2]
    return f"{record.get('event')}: {last}"


@asynccontextmanager
async def open_cluster(
    topology: Topology,
    directory: Path,
    *,
    mutant: str = "",
    settings: Mapping[str, object] | None = None,
) -> AsyncIterator[LiveCluster]:
    """Start everything; ended and its data removed with the block, logs stay in `directory`.

    `mutant` is the promise that the hubs break (see `mutants.py`). `settings` come before those of the topology.
    """
    directory.mkdir(parents=True, exist_ok=True)
    cluster = LiveCluster(topology, directory)
    async with AsyncExitStack() as stack:
        data = stack.enter_context(short_directory())
        (data / "owner").touch()
        members = open_members(topology.mongods, data, directory, cluster.observe)
        cluster.mongods = await stack.enter_async_context(members)
        program = await asyncio.to_thread(located, "redis-server")
        cluster.redis_ports = _ports(topology.redises)
        cluster.redises = [
            ChildServer(
                name, redis_service(port, data / name, program, directory / f"{name}.log"), observe=cluster.observe
            )
            for name, port in ((f"redis{number + 1}", port) for number, port in enumerate(cluster.redis_ports))
        ]
        for server in cluster.redises:
            await _started(stack, server)
        async with connect(_direct(cluster.mongods), DATABASE) as database:
            await migrate(database)
        if topology.phones:
            phones = open_pocket(_direct(cluster.mongods), DATABASE, PHONES_KEY, data)
            cluster.pocket = await stack.enter_async_context(phones)
        common = {
            **SETTINGS,
            **(PHONES_SETTINGS if topology.phones else {}),
            "uploads.directory": str(data / "uploads"),
            **(settings or {}),
            **topology.settings,
        }
        cluster.hubs = [
            await _hub(stack, cluster, number, common, mutant=mutant) for number in range(1, topology.hubs + 1)
        ]
        cluster.workers = [await _worker(stack, cluster, number, common) for number in range(1, topology.workers + 1)]
        # All at once: each takes seconds of its own.
        async with asyncio.TaskGroup() as group:
            for server in (*cluster.hubs, *cluster.workers):
                group.create_task(server.start())
        yield cluster


def _environment(cluster: LiveCluster) -> dict[str, str]:
    return environment() | ({LAB_VARIABLE: str(cluster.pocket.path)} if cluster.pocket is not None else {})


async def _started(stack: AsyncExitStack, server: ChildServer) -> None:
    stack.push_async_callback(server.close)
    await server.start()


def _ports(count: int) -> list[int]:
    ports: list[int] = []
    while len(ports) < count:
        if (port := free_port()) not in ports:
            ports.append(port)
    return ports


def _direct(mongods: Sequence[Member]) -> str:
    if len(mongods) == 1:
        return f"mongodb://127.0.0.1:{mongods[0].port}/?directConnection=true"
    hosts = ",".join(f"127.0.0.1:{member.port}" for member in mongods)
    return f"mongodb://{hosts}/?replicaSet={mongods[0].replica_set}"


async def _hub(
    stack: AsyncExitStack, cluster: LiveCluster, number: int, common: Mapping[str, object], *, mutant: str
) -> HubServer:
    name, port = f"h{number}", free_port()
    links = await _links(stack, cluster, name)
    clients = await _link(stack, cluster, f"clients-{name}", port)
    cluster._client_ports[name] = clients.port
    path = cluster.directory / f"{name}.toml"
    path.write_text(toml({**common, "server.port": port, "server.node_name": name, **links.settings}))
    argv = (hubbub(), "serve") if not mutant and not links.redirect else (sys.executable, str(LAUNCHER), "serve")
    told = {"CHAOS_MUTANT": mutant, "CHAOS_REDIRECT": links.redirect}
    command = Command(
        name,
        (*argv, "--config", str(path)),
        log=cluster.directory / f"{name}.log",
        environment={**_environment(cluster), **told},
        directory=_ROOT,
        grace_s=0,
    )
    hub = HubServer(
        name,
        command,
        cluster.observe,
        port=port,
        clients=ToldLink(clients, name, cluster.observe),
        to_redis=links.to_redis,
        to_mongodb=links.to_mongodb,
    )
    stack.push_async_callback(hub.close)
    return hub


async def _worker(
    stack: AsyncExitStack, cluster: LiveCluster, number: int, common: Mapping[str, object]
) -> ChildServer:
    """A worker reaches its servers directly: no fault of the matrix is about its links."""
    name = f"worker{number}"
    path = cluster.directory / f"{name}.toml"
    urls = [f"redis://127.0.0.1:{port}" for port in cluster.redis_ports]
    path.write_text(
        toml({**common, "server.node_name": name, "mongodb.url": _direct(cluster.mongods), "redis.urls": urls})
    )
    command = Command(
        name,
        (hubbub(), "worker", "--config", str(path)),
        log=cluster.directory / f"{name}.log",
        environment=_environment(cluster),
        directory=_ROOT,
        grace_s=0,
    )
    worker = ChildServer(name, Service(command, _follows(command), ready_within_s=90.0), cluster.observe)
    stack.push_async_callback(worker.close)
    return worker


def _follows(command: Command) -> Any:
    """Returns when the log of a worker says that it follows; each run says so once."""
    log = command.log
    assert log is not None

    async def answers() -> None:
        begun = log.stat().st_size if log.exists() else 0
        while True:
            if log.exists():
                with log.open("rb") as file:
                    file.seek(max(0, begun - 1))
                    if b'"following"' in file.read() or b"'following'" in file.read():
                        return
            await asyncio.sleep(0.05)

    return answers


@dataclass(frozen=True, slots=True)
class _Links:
    to_redis: Link
    to_mongodb: Link
    settings: Mapping[str, object]
    redirect: str
    """Pairs of ports for the launcher: who asks for the first is connected to the second."""


async def _links(stack: AsyncExitStack, cluster: LiveCluster, hub: str) -> _Links:
    """A hub's ways to its servers. With several Redis or mongods one `Link` rules all ways to them."""
    redis = [
        await _link(stack, cluster, f"{hub}-redis{number + 1}", port) for number, port in enumerate(cluster.redis_ports)
    ]
    mongo = [await _link(stack, cluster, f"{hub}-{member.name}", member.own_port) for member in cluster.mongods]
    urls = [f"redis://127.0.0.1:{link.port}" for link in redis]
    single = len(mongo) == 1
    # A driver asks a replica set for its members' addresses and goes there, past any link, so the launcher turns it.
    url = f"mongodb://127.0.0.1:{mongo[0].port}/?directConnection=true" if single else _direct(cluster.mongods)
    pairs = zip(cluster.mongods, mongo, strict=True)
    redirect = "" if single else ",".join(f"{member.port}={link.port}" for member, link in pairs)
    return _Links(
        Links(f"{hub}-redis", [one.link for one in redis]),
        Links(f"{hub}-mongodb", [one.link for one in mongo]),
        {"redis.urls": urls, "mongodb.url": url},
        redirect,
    )


async def _link(stack: AsyncExitStack, cluster: LiveCluster, name: str, port: int) -> Opened:
    link = await stack.enter_async_context(opened(name, ("127.0.0.1", port)))
    cluster.links.append(link.link)
    return link
