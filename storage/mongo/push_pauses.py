"""For how long providers have asked to be left alone: told to all workers, and to those that start meanwhile."""

from typing import Final

from storage.model.push import Pause
from storage.mongo.client import Database, translated
from storage.mongo.push_rows import as_date
from storage.mongo.schema import PUSH_PAUSES

MAX_FOUND: Final = 2_000
"""Of more, the ones that last the longest are found."""


class PushPauses:
    """Every method may raise Unavailable. Times are given by the caller: ms UTC."""

    def __init__(self, db: Database) -> None:
        self._pauses = db[PUSH_PAUSES]

    async def keep(self, pause: Pause) -> None:
        """Until its time, or a later one that is kept already."""
        key = f"{len(pause.lane)}:{pause.lane}{pause.origin}"
        change = {
            "$set": {"lane": pause.lane, "origin": pause.origin, "reason": pause.reason},
            "$max": {"until": pause.until, "forget_at": as_date(pause.until)},
        }
        with translated():
            await self._pauses.update_one({"_id": key}, change, upsert=True)

    async def at(self, now: int) -> list[Pause]:
        """Those that are not over; at most `MAX_FOUND`."""
        with translated():
            found = self._pauses.find({"until": {"$gt": now}}, sort=[("until", -1)], limit=MAX_FOUND)
            rows = await found.to_list(MAX_FOUND)
        return [Pause(row["lane"], row["origin"], int(row["until"]), row["reason"]) for row in rows]

    async def lift(self, lane: str) -> int:
        """Forget those of a lane, its origins included; how many there were."""
        with translated():
            return (await self._pauses.delete_many({"lane": lane})).deleted_count
