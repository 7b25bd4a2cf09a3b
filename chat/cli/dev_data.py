"""Collections, indexes and demo data for `hubbub dev`."""

import asyncio
import time
from typing import Final

from chat.config import Config
from chat.seed import USERS, seed
from storage.errors import Unavailable
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from storage.store import open_store

ATTEMPTS: Final = 5
PAUSE_S: Final = 1.0


async def prepared(config: Config) -> str:
    """Make what is missing; returns what there is now, in words. Raises StorageError.

    A mongod that was started a moment ago may need longer than a live request may take: so it is tried again.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await _prepared(config)
        except Unavailable:
            await asyncio.sleep(PAUSE_S)
    return await _prepared(config)


async def _prepared(config: Config) -> str:
    url, database = config.mongodb.url.reveal(), config.mongodb.database
    async with connect(url, database, app_name="hubbub-dev") as db:
        await migrate(db)
    async with open_store(url, database, app_name="hubbub-dev") as store:
        await seed(store, _clock_ms)
    return f"{database} is ready, with {', '.join(USERS)} and two conversations"


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000
