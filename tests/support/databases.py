"""Databases for tests, used again: to make the layout takes twenty times as long as to empty it."""

import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from storage.mongo.client import Database
from storage.mongo.migrate import migrate
from storage.mongo.schema import LAYOUTS, META, SCHEMA_VERSION

MOST_KEPT: Final = 8

_COLLECTIONS: Final = len(LAYOUTS)
_INDEXES: Final = sum(len(layout.indexes) + (not layout.clustered) for layout in LAYOUTS)


class Databases:
    """Lends the names of databases of one server. What comes back with the layout of `storage.mongo.schema` is lent
    again, emptied; anything else is dropped, and so is what is beyond MOST_KEPT.

    It is emptied when it is lent, the longest unused first: a process that was killed may have left its last command.
    """

    def __init__(self, client: MongoClient[dict[str, Any]]) -> None:
        self._client = client
        self._kept: deque[str] = deque()

    @contextmanager
    def lent(self) -> Iterator[str]:
        """A database without documents, whose layout is there or not: whoever needs it migrates."""
        name = self._emptied() or f"test_{secrets.token_hex(6)}"
        yield name
        if len(self._kept) < MOST_KEPT and self._has_the_layout(name):
            self._kept.append(name)
        else:
            self._client.drop_database(name)

    def close(self) -> None:
        """Drop those that are kept: the server may be somebody's own."""
        while self._kept:
            self._client.drop_database(self._kept.pop())

    def _emptied(self) -> str | None:
        if len(self._kept) < MOST_KEPT // 2:
            return None
        name = self._kept.popleft()
        for layout in LAYOUTS:
            self._client[name][layout.name].delete_many({"_id": {"$ne": "schema"}} if layout.name == META else {})
        return name

    def _has_the_layout(self, name: str) -> bool:
        """By numbers: to look at every index takes longer than most tests."""
        try:
            stats = self._client[name].command("dbStats")
        except PyMongoError:
            return False
        return (stats["collections"], stats["indexes"]) == (_COLLECTIONS, _INDEXES)


async def laid_out(db: Database) -> None:
    """Migrate, where that was not done before."""
    if await db[META].find_one({"_id": "schema", "version": SCHEMA_VERSION}) is None:
        await migrate(db)
