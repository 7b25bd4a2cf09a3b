"""The whole product behind HTTP."""

import secrets
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import pytest_asyncio

from support.app import App, serve_app, test_config

NAMESPACES: Final = [
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
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(_mongodb, _redis, mongodb_url, redis_url) -> AsyncIterator[App]:
    """One hub for all tests of a module: whoever needs to be alone there takes users and channels of their own.

    Channels `plain:…` keep nothing, `news:…` history and presence, `loose:…` history; pages of app.example may call.
    """
    name = f"test_{secrets.token_hex(6)}"
    config = test_config(
        mongodb_url,
        name,
        redis_url,
        name,
        client__allowed_origins=["https://app.example"],
        channel__namespaces=NAMESPACES,
    )
    async with serve_app(config) as app:
        yield app
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


@pytest_asyncio.fixture(loop_scope="module")
async def http(app) -> AsyncIterator[aiohttp.ClientSession]:
    """Nobody in particular."""
    async with aiohttp.ClientSession(app.http) as session:
        yield session


@pytest_asyncio.fixture(loop_scope="module")
async def alice(app) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.rest("alice") as session:
        yield session


@pytest_asyncio.fixture(loop_scope="module")
async def bob(app) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.rest("bob") as session:
        yield session


@pytest_asyncio.fixture(loop_scope="module")
async def api(app) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.api() as session:
        yield session
