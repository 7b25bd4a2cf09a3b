"""The whole product behind HTTP."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from support.app import App, serve_app, test_config


@pytest.fixture
async def app(mongodb_url, database_name, redis_url, redis_prefix) -> AsyncIterator[App]:
    """One hub whose channels `plain:…` keep nothing, `news:…` history and presence; pages of app.example may call."""
    config = test_config(
        mongodb_url,
        database_name,
        redis_url,
        redis_prefix,
        client__allowed_origins=["https://app.example"],
        channel__namespaces=[
            {"name": "plain"},
            {
                "name": "news",
                "allow_subscribe_for_client": True,
                "presence": True,
                "join_leave": True,
                "history_size": 100,
                "history_ttl": "5m",
                "force_recovery": True,
            },
            {"name": "loose", "history_size": 10, "history_ttl": "5m"},
        ],
    )
    async with serve_app(config) as app:
        yield app


@pytest.fixture
async def http(app) -> AsyncIterator[aiohttp.ClientSession]:
    """Nobody in particular."""
    async with aiohttp.ClientSession(app.http) as session:
        yield session


@pytest.fixture
async def alice(app) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.rest("alice") as session:
        yield session


@pytest.fixture
async def bob(app) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.rest("bob") as session:
        yield session


@pytest.fixture
async def api(app) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.api() as session:
        yield session
