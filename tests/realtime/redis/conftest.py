"""Processes on the shared Redis, and a Redis of the test's own, which it may kill, freeze and wipe."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from realtime.redis.opening import OpenRedis
from realtime.redis.settings import RedisSettings
from storage.local.redis_server import RedisServer, redis_server
from support.redis_bus import Heard, process
from support.servers import short_directory


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def opened(redis_url: str, redis_prefix: str, heard: Heard) -> AsyncIterator[OpenRedis]:
    """One process on the shared server; `heard` is its listener."""
    settings = RedisSettings(call_timeout_s=10.0)
    async with process("p1", heard, redis_url, prefix=f"{redis_prefix}:", settings=settings) as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    with short_directory() as directory:
        async with redis_server(directory, ephemeral=True) as running:
            yield running


@pytest.fixture
async def second_server() -> AsyncIterator[RedisServer]:
    with short_directory() as directory:
        async with redis_server(directory, ephemeral=True) as running:
            yield running


@pytest.fixture
def unused_socket() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory / "redis.sock"
