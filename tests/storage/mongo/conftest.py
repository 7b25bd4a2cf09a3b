"""A migrated database of the test's own, and the stores on it."""

from collections.abc import AsyncIterator

import pytest

from storage.mongo.client import Database, connect
from storage.mongo.log import Log
from storage.store import Store, open_store
from support.databases import laid_out


@pytest.fixture
async def db(mongodb_url: str, database_name: str) -> AsyncIterator[Database]:
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
        yield database


@pytest.fixture
def log(db: Database) -> Log:
    return Log(db)


@pytest.fixture
async def store(mongodb_url: str, db: Database) -> AsyncIterator[Store]:
    async with open_store(mongodb_url, db.name) as one:
        yield one


@pytest.fixture
async def other_store(mongodb_url: str, db: Database) -> AsyncIterator[Store]:
    """The store of another process."""
    async with open_store(mongodb_url, db.name) as one:
        yield one
