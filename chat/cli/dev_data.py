"""Collections, indexes and demo data for `hubbub dev`."""

import time

from storage.store import open_store

from chat.config import Config
from chat.seed import USERS, seed
from storage.mongo.client import connect
from storage.mongo.migrate import migrate


async def prepared(config: Config) -> str:
    """Make what is missing; returns what there is now, in words. Raises StorageError."""
    url, database = config.mongodb.url.reveal(), config.mongodb.database
    async with connect(url, database, app_name="hubbub-dev") as db:
        await migrate(db)
    async with open_store(url, database, app_name="hubbub-dev") as store:
        await seed(store, _clock_ms)
    return f"{database} is ready, with {', '.join(USERS)} and two conversations"


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000
