"""Who has become a member lately, of many users in one query: for processes that may not have been told."""

from collections.abc import Mapping
from typing import Final

from storage.model import Member
from storage.mongo.client import Database, Document, translated
from storage.mongo.rows import member_of
from storage.mongo.schema import MEMBERS

MAX_USERS: Final = 200
MAX_ROWS: Final = 5_000
"""Of one query. Whoever comes into more conversations than that within seconds hears of the rest by `sync`."""


class Newcomers:
    def __init__(self, db: Database) -> None:
        self._members = db[MEMBERS]

    async def since(self, revisions: Mapping[str, int], *, joined_after: int) -> list[Member]:
        """The live rows of these users (at most MAX_USERS) that changed after each one's revision, of conversations
        that they came into after a time (ms UTC); threads are left out. Raises Unavailable.
        """
        changed: list[Document] = [
            {"user": user, "revision": {"$gt": revision}} for user, revision in revisions.items()
        ]
        if not changed:
            return []
        wanted: Document = {"$or": changed, "joined_at": {"$gt": joined_after}, "left_at": None, "parent": None}
        with translated():
            rows = await self._members.find(wanted, limit=MAX_ROWS, batch_size=MAX_ROWS).to_list(MAX_ROWS)
        return [member_of(row) for row in rows]
