"""Who blocks whom: rows of the blocking user, under that user's revision. They outlive the block, for `sync`."""

from collections.abc import Collection
from functools import partial
from typing import Final

from pymongo import ASCENDING

from storage.errors import LimitReached
from storage.model import Block
from storage.mongo.client import Database, Document, translated
from storage.mongo.schema import BLOCKS
from storage.mongo.transaction import transaction, until_uncontended
from storage.mongo.users import Users

MAX_BLOCKED: Final = 1000
"""Users whom one user blocks at the same time."""

_LIVE: Final[Document] = {"ended_at": {"$exists": False}}
_ABOVE_ALL: Final = "\x7f"
"""Above every character that the id of a user may have."""


class Blocks:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, users: Users) -> None:
        self._client = db.client
        self._blocks = db[BLOCKS]
        self._users = users

    async def block(self, user: str, blocked: str, *, at: int) -> bool:
        """False: it was so already. Raises LimitReached."""
        return await until_uncontended(partial(self._block, user, blocked, at))

    async def unblock(self, user: str, blocked: str, *, at: int) -> bool:
        """False: it was so already."""
        return await until_uncontended(partial(self._unblock, user, blocked, at))

    async def page(self, user: str, *, after: str = "", limit: int) -> list[Block]:
        """Whom the user blocks, with ids above `after`, by id."""
        query = {"_id": {"$gt": _key(user, after), "$lt": _key(user, _ABOVE_ALL)}, **_LIVE}
        with translated():
            found = self._blocks.find(query, sort=[("_id", ASCENDING)], limit=limit, batch_size=limit + 1)
            return [_block_of(row) for row in await found.to_list(limit)]

    async def of_users(self, users: Collection[str]) -> dict[str, frozenset[str]]:
        """Whom each of these blocks. At most about a hundred users at once."""
        blocked: dict[str, set[str]] = {user: set() for user in users}
        query: Document = {"user": {"$in": list(blocked)}, **_LIVE}
        with translated():
            async for row in self._blocks.find(query, {"user": 1, "blocked": 1}, batch_size=MAX_BLOCKED):
                blocked[row["user"]].add(row["blocked"])
        return {user: frozenset(of_user) for user, of_user in blocked.items()}

    async def changes(self, user: str, revision: int, *, limit: int) -> list[Block]:
        """What changed after a revision of the user, ended blocks included, ascending by revision."""
        query: Document = {"user": user, "revision": {"$gt": revision}}
        with translated():
            found = self._blocks.find(query, sort=[("revision", ASCENDING)], limit=limit, batch_size=limit + 1)
            return [_block_of(row) for row in await found.to_list(limit)]

    async def _block(self, user: str, blocked: str, at: int) -> bool:
        key = _key(user, blocked)
        async with transaction(self._client) as session:
            with translated():
                if await self._blocks.find_one({"_id": key, **_LIVE}, session=session) is not None:
                    return False
                # Before the count: whoever else adds for this user has to wait for this transaction, so it holds.
                revisions = await self._users.bump(session, [user], at=at)
                live: Document = {"user": user, **_LIVE}
                if await self._blocks.count_documents(live, limit=MAX_BLOCKED, session=session) == MAX_BLOCKED:
                    raise LimitReached(f"at most {MAX_BLOCKED} users can be blocked at the same time")
                row = {"user": user, "blocked": blocked, "at": at, "revision": revisions[user]}
                await self._blocks.update_one(
                    {"_id": key}, {"$set": row, "$unset": {"ended_at": ""}}, upsert=True, session=session
                )
        return True

    async def _unblock(self, user: str, blocked: str, at: int) -> bool:
        key = _key(user, blocked)
        async with transaction(self._client) as session:
            with translated():
                if await self._blocks.find_one({"_id": key, **_LIVE}, session=session) is None:
                    return False
                revisions = await self._users.bump(session, [user], at=at)
                await self._blocks.update_one(
                    {"_id": key}, {"$set": {"ended_at": at, "revision": revisions[user]}}, session=session
                )
        return True


def _key(user: str, blocked: str) -> str:
    return f"{len(user)}:{user}{blocked}"


def _block_of(row: Document) -> Block:
    ended_at = row.get("ended_at")
    return Block(
        user=row["user"],
        blocked=row["blocked"],
        at=int(row["at"]),
        revision=int(row["revision"]),
        ended_at=None if ended_at is None else int(ended_at),
    )
