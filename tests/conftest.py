"""Fixtures for all tests: one mongod and one redis-server per test process, a database and a prefix per test."""

import gc
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any
from unittest.mock import patch

import pytest
import redis
from hypothesis import HealthCheck, settings
from pymongo import MongoClient

from storage.local.mongod import mongod
from storage.local.redis_server import redis_server
from support.databases import Databases
from support.servers import MONGOD_FOR_TESTS, in_thread, short_directory

# A machine that is busy with something else is no fault of what is tested.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Whatever is temporary is in memory too, that of processes that tests start included: on a busy disk the removal
    of a small file may take 100 ms, and there are thousands.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ and "TMPDIR" not in os.environ:
        stack = ExitStack()
        directory = stack.enter_context(short_directory())
        stack.enter_context(patch.dict(os.environ, {"TMPDIR": str(directory)}))
        stack.enter_context(patch.object(tempfile, "tempdir", None))
        config.add_cleanup(stack.close)


def pytest_collection_finish() -> None:
    """What was collected stays: looking through it for garbage stops everything, on a busy machine for a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def mongodb_url() -> Iterator[str]:
    """A MongoDB replica set of one with fail points enabled; `MONGODB_URL` names another one."""
    if url := os.environ.get("MONGODB_URL"):
        yield url
        return
    with (
        short_directory() as directory,
        in_thread(lambda: mongod(directory, ephemeral=True, test_commands=True, **MONGOD_FOR_TESTS)) as server,
    ):
        yield server.url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis on a unix socket; `REDIS_URL` names another one."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    with short_directory() as directory, in_thread(lambda: redis_server(directory, ephemeral=True)) as server:
        yield server.url


@pytest.fixture(scope="session")
def _mongodb(mongodb_url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        yield client


@pytest.fixture(scope="session")
def _redis(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def _databases(_mongodb: MongoClient[dict[str, Any]]) -> Iterator[Databases]:
    with closing(Databases(_mongodb)) as databases:
        yield databases


@pytest.fixture
def database_name(_databases: Databases) -> Iterator[str]:
    """The name of a database of this test's own, without a document. It may have been migrated before."""
    with _databases.lent() as name:
        yield name


@pytest.fixture
def new_database_name(_mongodb: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """The name of a database that has never been there, dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    _mongodb.drop_database(name)


@pytest.fixture
def redis_prefix(_redis: redis.Redis) -> Iterator[str]:
    """A prefix for keys and channels of this test's own (no separator at its end); its keys are deleted afterwards."""
    prefix = f"test{secrets.token_hex(6)}"
    yield prefix
    for key in _redis.scan_iter(f"{prefix}*", count=1000):
        _redis.delete(key)
