"""Fixtures of the scenarios: one hub, or two on the same database and Redis."""

import pytest

from support.app import serve_app, test_config


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
