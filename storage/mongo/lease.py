"""One of several processes at a time: a lease in MongoDB, timed by MongoDB's own clock.

The fence grows with each new holder. Whoever writes under the lease names holder and fence, so a holder that slept
through its lease changes nothing any more.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument

from storage.errors import StorageError
from storage.mongo.client import Database, Document, translated
from storage.mongo.schema import META


class LeaseLost(StorageError):
    """Another process has the lease now."""

    temporary = True


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that is ours. `state` is what the last holder left with it."""

    fence: int
    state: Any


class Lease:
    """A named lease. Every method may raise Unavailable."""

    def __init__(self, db: Database, name: str, *, owner: str, ttl_ms: int) -> None:
        """`owner` names this process and run; no two may share one."""
        self._meta = db[META]
        self._name = f"lease:{name}"
        self._owner = owner
        self._ttl_ms = ttl_ms

    async def acquire(self) -> Held | None:
        """Take the lease if nobody else holds it. None: somebody does.

        Who is cancelled while asking waits for the answer all the same, and lets go of what it was given: the command
        runs on, and what it takes would be nobody's until its time is over.
        """
        asking = asyncio.ensure_future(self._acquire())
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            with suppress(StorageError):
                held = await asking
                if held is not None:
                    await self.release(held.fence)
            raise

    async def _acquire(self) -> Held | None:
        mine = {"$eq": ["$owner", self._owner]}
        free = {"$lt": ["$until", "$$NOW"]}
        update: list[Document] = [
            {
                "$set": {
                    "fence": {"$cond": [mine, "$fence", {"$add": ["$fence", 1]}]},
                    "owner": self._owner,
                    "until": {"$add": ["$$NOW", self._ttl_ms]},
                }
            }
        ]
        with translated():
            await self._meta.update_one({"_id": self._name}, {"$setOnInsert": {"fence": 0}}, upsert=True)
            found: Document | None = await self._meta.find_one_and_update(
                {"_id": self._name, "$expr": {"$or": [mine, free]}}, update, return_document=ReturnDocument.AFTER
            )
        return Held(int(found["fence"]), found.get("state")) if found else None

    async def renew(self, fence: int) -> None:
        """Hold on to it for another `ttl_ms`. Raises LeaseLost."""
        await self._write(fence, {})

    async def save(self, fence: int, state: Any) -> None:
        """Leave something for the next holder, and hold on. Raises LeaseLost."""
        await self._write(fence, {"state": {"$literal": state}})

    async def release(self, fence: int) -> None:
        """Let the next one have it at once."""
        with translated():
            await self._meta.update_one(
                {"_id": self._name, "owner": self._owner, "fence": fence}, {"$unset": {"owner": "", "until": ""}}
            )

    async def _write(self, fence: int, fields: Document) -> None:
        update = [{"$set": {**fields, "until": {"$add": ["$$NOW", self._ttl_ms]}}}]
        with translated():
            result = await self._meta.update_one({"_id": self._name, "owner": self._owner, "fence": fence}, update)
        if result.matched_count == 0:
            raise LeaseLost(f"{self._name} is held by another process")
