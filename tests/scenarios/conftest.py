"""Fixtures of the scenarios: one hub, or two on the same database and Redis; or one for a whole module."""

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.app import App, serve_app, test_config


@pytest.fixture
def config(mongodb_url, database_name, redis_url, redis_prefix):
    return test_config(mongodb_url, database_name, redis_url, redis_prefix)


@pytest.fixture
async def app(config):
    async with serve_app(config) as app:
        yield app


@pytest.fixture
async def apps(config):
    """Two hubs that know each other through Redis only."""
    async with serve_app(config) as one, serve_app(config) as two:
        yield one, two


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_app(_mongodb, _redis, mongodb_url, redis_url) -> AsyncIterator[App]:
    """One hub for all tests of a module, for tables of which each row takes a moment: everybody takes users, or
    conversations, of their own. The module's tests run on one loop (`pytestmark`, `loop_scope="module"`).
    """
    name = f"test_{secrets.token_hex(6)}"
    async with serve_app(test_config(mongodb_url, name, redis_url, name)) as app:
        yield app
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)
