"""A migrated database of the test's own, the stores on it, and push on those."""

from collections.abc import AsyncIterator

import pytest

from storage.mongo.client import Database, connect
from storage.store import Store, open_store
from support.databases import laid_out
from support.pushing import Pushing


@pytest.fixture
async def db(mongodb_url: str, database_name: str) -> AsyncIterator[Database]:
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
        yield database


@pytest.fixture
async def store(mongodb_url: str, db: Database) -> AsyncIterator[Store]:
    async with open_store(mongodb_url, db.name) as one:
        yield one


@pytest.fixture
def push(db: Database, store: Store) -> Pushing:
    return Pushing(db, store)
