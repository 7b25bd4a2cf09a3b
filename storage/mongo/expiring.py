"""Messages whose time is over, for whoever deletes them."""

from pymongo import ASCENDING

from storage.model.keys import parse_log_key
from storage.mongo.client import Database, translated
from storage.mongo.schema import EXPIRES, MESSAGES


class Expiring:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._messages = db[MESSAGES]

    async def due(self, now: int, *, limit: int) -> list[tuple[str, int]]:
        """(conversation, offset) of messages with expires_at <= now that are not deleted yet, the most overdue first.

        From an index that only messages that expire are in.
        """
        with translated():
            found = self._messages.find({"e": {"$lte": now}}, {"_id": 1}, sort=[("e", ASCENDING)], limit=limit)
            rows = await found.hint(EXPIRES).batch_size(limit + 1).to_list(limit)
        return [parse_log_key(row["_id"]) for row in rows]
