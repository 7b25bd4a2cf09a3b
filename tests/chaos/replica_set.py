"""Three mongods that elect, and ways between them that can be cut.

Members know each other by the ports of our proxy, so that everything they say to each other goes through it; it finds
out by the client's address which member it is that came, and has a link for each pair. So no privileges are needed, as
they would be for network namespaces. Whoever is no member goes through untouched.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from chaos.doors import Listener
from chaos.fault import Traffic
from chaos.peers import process_of
from chaos.proxy import ProxyLink
from chaos.servers import ChildServer, Observe
from storage.local.children import Service
from storage.local.find import located
from storage.local.mongod import prepared_mongod

REPLICA_SET: Final = "rs0"
ELECTION_TIMEOUT_MS: Final = 5000
"""Half of MongoDB's own, so that runs stay short; the machine is too busy for less."""

_POLL_S: Final = 0.05


class Member(ChildServer):
    """A mongod. `port` is where others know it: for three members a port of the proxy, for one its own (`own_port`)."""

    port: int = 0
    own_port: int = 0
    replica_set: str = REPLICA_SET
    ways: Sequence[ProxyLink] = ()
    """All links from it to the other members and from them to it."""

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Neither heard nor answered by the other members; clients still reach it. What was said arrives later."""
        for way in self.ways:
            way.set(Traffic.STALL)
        try:
            yield
        finally:
            for way in self.ways:
                way.set(Traffic.PASS)


class _Mesh:
    """The ports that members are known by, and a link for each pair."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.members: Sequence[Member] = ()
        places = range(len(ports))
        self._pairs = {
            (source, target): ProxyLink(f"mongod{source + 1}-mongod{target + 1}")
            for source in places
            for target in places
        }
        self._others = [ProxyLink(f"any-mongod{target + 1}") for target in places]
        self.listeners = [self._listener(target, port) for target, port in enumerate(ports)]

    def open(self) -> None:
        for listener in self.listeners:
            listener.follow()

    async def close(self) -> None:
        for listener in self.listeners:
            listener.close()
        for link in (*self._pairs.values(), *self._others):
            await link.close()

    def ways_of(self, member: int) -> list[ProxyLink]:
        return [link for (source, target), link in self._pairs.items() if (source == member) != (target == member)]

    def _listener(self, target: int, port: int) -> Listener:
        def choose(address: tuple[str, int]) -> ProxyLink:
            pids = {member.pid: source for source, member in enumerate(self.members) if member.running}
            pid = process_of(address, listener.port, pids)
            return self._others[target] if pid is None else self._pairs[pids[pid], target]

        listener = Listener(("127.0.0.1", port), choose, lambda: ())
        return listener


@asynccontextmanager
async def open_replica_set(count: int, data: Path, logs: Path, observe: Observe) -> AsyncIterator[Sequence[Member]]:
    """So many members with test commands enabled; one takes writes when the block begins."""
    program = await asyncio.to_thread(located, "mongod")
    prepared = [
        prepared_mongod(
            data / f"mongod{number}",
            program,
            log=logs / f"mongod{number}.log",
            ephemeral=True,
            orphans_remove=data,
            test_commands=True,
            arguments=("--setParameter", "writePeriodicNoops=true", "--setParameter", "periodicNoopIntervalSecs=1"),
        )
        for number in range(1, count + 1)
    ]
    mesh = _Mesh([one.port for one in prepared])
    async with AsyncExitStack() as stack:
        stack.push_async_callback(mesh.close)
        mesh.open()
        members = []
        for place, one in enumerate(prepared):
            name = f"mongod{place + 1}"
            service = Service(replace(one.command, name=name), _Answers(one.port).wait, ready_within_s=60.0)
            member = Member(name, service, observe)
            member.port, member.own_port = mesh.listeners[place].port, one.port
            member.ways = mesh.ways_of(place)
            stack.push_async_callback(member.close)
            members.append(member)
        mesh.members = members
        await asyncio.gather(*(member.start() for member in members))
        await _initiate(prepared[0].port, [member.port for member in members])
        await primary_of(members)
        yield members


class _Answers:
    """Ready: a member that says what it is (the first time, before there is a set: that it is none)."""

    def __init__(self, port: int) -> None:
        self._url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        self._was_member = False

    async def wait(self) -> None:
        async with AsyncMongoClient[dict[str, Any]](self._url, serverSelectionTimeoutMS=60_000) as client:
            while True:
                with contextlib.suppress(PyMongoError):  # it may close connections as it starts
                    hello = await client.admin.command("hello")
                    if hello.get("isWritablePrimary") or hello.get("secondary") or not self._was_member:
                        self._was_member = True
                        return
                await asyncio.sleep(_POLL_S)


async def _initiate(own: int, ports: Sequence[int]) -> None:
    config = {
        "_id": REPLICA_SET,
        "members": [{"_id": place, "host": f"127.0.0.1:{port}"} for place, port in enumerate(ports)],
        "settings": {
            "electionTimeoutMillis": ELECTION_TIMEOUT_MS,
            "heartbeatIntervalMillis": 500,
            "heartbeatTimeoutSecs": 5,
        },
    }
    url = f"mongodb://127.0.0.1:{own}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=30_000) as client:
        await client.admin.command("replSetInitiate", config)


async def primary_of(members: Sequence[Member], *, besides: Member | None = None, within_s: float = 60.0) -> Member:
    """Wait for a member that takes writes, and return it. TimeoutError."""
    async with asyncio.timeout(within_s):
        while True:
            for member in members:
                if member is not besides and member.running and await _takes_writes(member):
                    return member
            await asyncio.sleep(_POLL_S)


async def _takes_writes(member: Member) -> bool:
    url = f"mongodb://127.0.0.1:{member.port}/?directConnection=true"
    try:
        async with AsyncMongoClient[dict[str, Any]](
            url, serverSelectionTimeoutMS=500, connectTimeoutMS=500, socketTimeoutMS=500
        ) as client:
            return bool((await client.admin.command("hello")).get("isWritablePrimary"))
    except PyMongoError:
        return False
