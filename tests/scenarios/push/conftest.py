"""Push for a whole module: who takes part is new in each test."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis
from pymongo import MongoClient

from chat.sealing import new_key
from support.app import test_config
from support.ringing import Ringing, ringing


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_ringing(
    _mongodb: MongoClient[dict[str, Any]],
    _redis: redis.Redis,
    mongodb_url: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Ringing]:
    name = f"test_{secrets.token_hex(6)}"
    config = test_config(
        mongodb_url,
        name,
        redis_url,
        name,
        secrets__keys=[new_key()],
        push__delay="100ms",
        push__confirm_wait="4s",
        push__elsewhere_wait="1s",
        push__quiet_gap="0s",
    )
    directory: Path = tmp_path_factory.mktemp("lab")
    async with ringing(config, directory) as one:
        yield one
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


@pytest_asyncio.fixture(loop_scope="module")
async def ring(shared_ringing: Ringing) -> AsyncIterator[Ringing]:
    """With a worker, however the test before has left it."""
    await shared_ringing.start_worker()
    yield shared_ringing
