"""Both servers together, watched: what `hubbub dev` runs on."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.local.children import ChildFailed, Service
from storage.local.directory import claimed
from storage.local.find import Found, Machine, Missing, Program, find
from storage.local.mongod import prepared_mongod
from storage.local.redis_server import prepared_redis
from storage.local.restarts import Event, OnEvent, start_all, stop_all, watched


@dataclass(frozen=True, slots=True)
class LocalServers:
    """Where the servers are. `pids` has those that we run ourselves, as they are at this moment."""

    mongodb_url: str
    redis_url: str
    services: Mapping[str, Service]

    @property
    def pids(self) -> dict[str, int]:
        return {name: service.pid for name, service in self.services.items()}


@asynccontextmanager
async def local_servers(
    data_dir: Path,
    *,
    on_event: OnEvent,
    ephemeral: bool = False,
    test_commands: bool = False,
    mongodb_url: str = "",
    redis_url: str = "",
    machine: Machine | None = None,
) -> AsyncIterator[LocalServers]:
    """Run a mongod and a redis-server on `data_dir` for the block; they are started again when they die.

    `on_event` is called, on the event loop, when one is ready, died or could not be started again. `ephemeral`: the
    data will not be needed again; the servers are killed at the end and `data_dir` is deleted if this process goes
    away. A server whose URL is given is not started. `data_dir` is locked in any case.

    Raises DirectoryUnusable, or ChildFailed when a server cannot be started at first (`str()` says what helps).
    """
    data_dir = Path(os.path.abspath(data_dir))  # noqa: PTH100, ASYNC240 - no disk is touched; symbolic links stay
    async with AsyncExitStack() as stack:
        lock = await stack.enter_async_context(claimed(data_dir))
        wanted: tuple[Program, ...] = (*(() if mongodb_url else ("mongod",)), *(() if redis_url else ("redis-server",)))
        found = await asyncio.to_thread(_find_all, wanted, machine or Machine.here())
        services: dict[str, Service] = {}
        if program := found.get("mongod"):
            services["mongod"] = mongodb = prepared_mongod(
                data_dir / "mongod",
                program.path,
                log=data_dir / "log" / "mongod.log",
                ephemeral=ephemeral,
                orphans_remove=data_dir,
                test_commands=test_commands,
                keep_open=(lock,),
            )
            mongodb_url = mongodb.url
        if program := found.get("redis-server"):
            prepared = prepared_redis(
                data_dir / "redis",
                program.path,
                log=data_dir / "log" / "redis.log",
                ephemeral=ephemeral,
                orphans_remove=data_dir,
                keep_open=(lock,),
            )
            services["redis"] = redis = stack.enter_context(prepared)
            redis_url = redis.url
        stack.push_async_callback(stop_all, services.values())
        await start_all(services.values())
        for name, program in zip(services, found.values(), strict=True):
            on_event(Event("ready", name, services[name].pid, f"{program.version} from {program.origin}".strip()))
        async with watched(services.values(), on_event):
            yield LocalServers(mongodb_url, redis_url, services)


def _find_all(programs: tuple[Program, ...], machine: Machine) -> dict[Program, Found]:
    found: dict[Program, Found] = {}
    for program in programs:
        answer = find(program, machine)
        if isinstance(answer, Missing):
            raise ChildFailed(program, str(answer))
        found[program] = answer
    return found
