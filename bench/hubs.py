"""Several hubs of one deployment, and what they, MongoDB and Redis say of themselves."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from pymongo import MongoClient
from redis import Redis

from bench.load import Client
from bench.local import local_deployment
from bench.machine import cpu
from bench.second_hub import second_hub
from chat.auth.mint import connection_token
from chat.config import Config, load


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def hub(ready: dict[str, Any], data: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Another hub of the deployment; killed with the block."""
    environment = {**os.environ, "MONGODB_URL": ready["mongodb_url"], "REDIS_URL": ready["redis_url"]}
    command = [sys.executable, "-m", "chat", "serve", "--config", str(data / "config.toml"), "--port", str(port)]
    with (data / f"hub-{port}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def until_ready(port: int) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


class Counters:
    """What MongoDB was asked, by its own counters: operations altogether, and by collection."""

    def __init__(self, url: str, database: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(url)
        self._database = database
        self._before = self._read()

    def _read(self) -> dict[str, int]:
        status = self._client.admin.command("serverStatus")
        found = {name: int(count) for name, count in status["opcounters"].items() if isinstance(count, int)}
        found |= {
            f"{name} commands": int(status["metrics"]["commands"][name]["total"])
            for name in ("find", "aggregate", "insert", "update", "getMore")
        }
        totals = self._client.admin.command("top")["totals"]
        for name, counts in totals.items():
            if name.startswith(f"{self._database}."):
                kind = name.partition(".")[2]
                found[f"{kind}: reads"] = int(counts["queries"]["count"]) + int(counts["commands"]["count"])
                found[f"{kind}: writes"] = int(counts["insert"]["count"]) + int(counts["update"]["count"])
        return found

    def reset(self) -> None:
        self._before = self._read()

    def since(self) -> dict[str, int]:
        now = self._read()
        return {name: more for name, count in now.items() if (more := count - self._before.get(name, 0))}


@dataclass(frozen=True, slots=True)
class Deployment:
    """`hubbub dev`, the hub of which is the first of `hubs`: port and process id of each."""

    ready: dict[str, Any]
    config: Config
    hubs: list[tuple[int, int]]

    def token(self, user: str) -> str:
        key = self.config.token.hmac_secret_key
        return connection_token(user, key, now_s=time.time(), ttl_s=7200)

    @asynccontextmanager
    async def client(self, hub: int, user: str) -> AsyncIterator[Client]:
        """Connected to that hub until the block ends."""
        client = await Client.open("127.0.0.1", self.hubs[hub][0], self.token(user))
        try:
            yield client
        finally:
            client.close()

    async def group(self, client: Client, members: Sequence[str]) -> str:
        """A new conversation's id."""
        data = {"kind": "group", "members": list(members), "idempotency_key": str(uuid4())}
        reply = await client.call("rpc", {"method": "conversation.create", "data": data})
        return str(reply["rpc"]["data"]["conversation"]["id"])

    async def watch(self, hubs: Sequence[int]) -> "Watching":
        """Begin to watch these hubs, mongod and Redis."""
        watching = Watching(self, hubs)
        watching.before = await watching.look()
        return watching


class Watching:
    """What was used and counted since it began: CPU seconds of `hubs` together, `mongod`, `redis`, `worker` and `load`
    (this process), `redis_sent_bytes`, `seconds`, and the hubs' metrics by name (labels included), added up.
    """

    def __init__(self, of: Deployment, hubs: Sequence[int]) -> None:
        self._of = of
        self._ports = [of.hubs[one][0] for one in hubs]
        self._hub_pids = [of.hubs[one][1] for one in hubs]
        self._redis: Any = Redis.from_url(of.ready["redis_url"])
        self.before: Counter[str] = Counter()

    async def take(self) -> Counter[str]:
        now = await self.look()
        return Counter({name: value - self.before[name] for name, value in now.items()})

    async def look(self) -> Counter[str]:
        found: Counter[str] = Counter()
        async with aiohttp.ClientSession() as session:
            for port in self._ports:
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    for line in (await answer.text()).splitlines():
                        if not line.startswith("#"):
                            name, _, value = line.rpartition(" ")
                            found[name] += float(value)
        found["seconds"] = time.perf_counter()
        found["load"] = time.process_time()
        # mongod's threads come and go, and have to be counted when they are gone.
        found["mongod"] = cpu(self._of.ready["pids"]["mongod"]).both_s
        found["worker"] = threads_cpu_s(self._of.ready["pids"]["worker"])
        found["redis"] = threads_cpu_s(self._of.ready["pids"]["redis"])
        found["hubs"] = sum(map(threads_cpu_s, self._hub_pids))
        found["redis_sent_bytes"] = self._redis.info("stats")["total_net_output_bytes"]
        return found


def threads_cpu_s(pid: int) -> float:
    """CPU time of the threads that a process has now: more exact than the ticks of `bench.machine.cpu`."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


@asynccontextmanager
async def deployment(hubs: int) -> AsyncIterator[Deployment]:
    """A complete server with so many hubs, all of them ready."""
    async with AsyncExitStack() as stack:
        ready, data = stack.enter_context(local_deployment())
        found = [(int(ready["http"].rpartition(":")[2]), int(ready["pids"]["hub"]))]
        for _ in range(hubs - 1):
            more = await stack.enter_async_context(second_hub(ready, data))
            found.append((more.port, more.pid))
        yield Deployment(ready, load(data / "config.toml", {}).config, found)
