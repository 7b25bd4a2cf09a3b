"""A redis-server of one's own: ready when it answers, on the same socket after whatever happened."""

import asyncio
import os
import signal
import stat
from pathlib import Path

import pytest
import redis.asyncio

from storage.local.children import ChildFailed
from storage.local.redis_server import redis_server


async def test_it_answers_at_once_and_after_every_kind_of_end(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server, redis.asyncio.Redis.from_url(server.url) as client:
        await client.set("a", 1)
        os.kill(server.pid, signal.SIGKILL)
        await server.exited()
        await server.start()
        assert await client.get("a") is None  # it keeps nothing, and that is what the product must stand
        await server.stop()
        await server.start()
        assert await client.ping()


async def test_only_we_may_connect(tmp_path: Path) -> None:
    async with redis_server(tmp_path, ephemeral=True) as server:
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        async with redis.asyncio.Redis.from_url(server.url) as client:
            assert (await client.config_get("port"))["port"] == "0"


async def test_a_long_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    async with redis_server(directory, ephemeral=True) as server, redis.asyncio.Redis.from_url(server.url) as client:
        assert len(str(server.socket)) < 104
        assert server.socket.parent.stat().st_mode & 0o077 == 0
        assert await client.ping()
    assert not server.socket.parent.exists()


async def test_a_frozen_one_goes_on_after_sigcont(tmp_path: Path) -> None:
    async with redis_server(tmp_path, ephemeral=True) as server, redis.asyncio.Redis.from_url(server.url) as client:
        os.kill(server.pid, signal.SIGSTOP)
        ping = asyncio.create_task(client.ping())
        done, _ = await asyncio.wait([ping], timeout=0.1)
        assert not done
        os.kill(server.pid, signal.SIGCONT)
        assert await ping


async def test_a_wrong_argument_is_reported_with_what_redis_wrote(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match=r"^redis: ended before it was ready, exit code 1$") as failure:
        async with redis_server(tmp_path, arguments=("--no-such-option", "1")):
            pass
    assert any("Bad directive" in line for line in failure.value.last_lines)
