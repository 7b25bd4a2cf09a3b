"""The sealed value by which a process sees whether it has the keys of this database."""

from typing import Final

from pymongo.errors import DuplicateKeyError

from storage.mongo.client import Database, translated
from storage.mongo.schema import META

_ID: Final = "sealing"


class Sealing:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._meta = db[META]

    async def get(self) -> str | None:
        """The value; None: nothing was ever sealed here."""
        with translated():
            row = await self._meta.find_one({"_id": _ID})
        return None if row is None else str(row["sealed"])

    async def swap(self, before: str | None, after: str) -> bool:
        """Put it in place of another. False: it is not that one any more, and nothing was changed."""
        with translated():
            if before is not None:
                result = await self._meta.update_one({"_id": _ID, "sealed": before}, {"$set": {"sealed": after}})
                return result.matched_count == 1
            try:
                await self._meta.insert_one({"_id": _ID, "sealed": after})
            except DuplicateKeyError:
                return False
            return True
