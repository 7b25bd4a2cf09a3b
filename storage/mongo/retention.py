"""Removing what is older than it may be kept: whole stretches of a log, from its oldest end.

First the log says so (conversation.updated with `oldest`), with the row that says it too; then the entries go. Whoever
is killed in between leaves entries below `oldest`, which the next one removes: the conversation is due until
`oldest_at`, the time of its oldest entry, is written. The newest entry always stays: it is what places and counts go on
from.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pymongo import ASCENDING

from storage.errors import NotFound
from storage.model import Entry, EntryKind, NewEntry
from storage.model.keys import log_key
from storage.mongo.appender import Appender
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.documents import position_of
from storage.mongo.heads import read_rows
from storage.mongo.schema import CONVERSATIONS, MESSAGES, OLDEST, REACTIONS, RETENTION
from storage.mongo.uploads import Uploads

MIN_RETENTION_S: Final = 3600
"""Nothing younger is removed, whatever the settings say: a hub may take a place that it knew to be free for ten minutes
(`TAIL_AGE_S`), so what was there must not be gone by then.
"""

STRETCH: Final = 5000
"""Entries that are removed at once, and told of by one entry."""

_CHUNK: Final = 1000
_BY_SERVER: Final = ""


@dataclass(frozen=True, slots=True)
class Outdated:
    """A conversation whose oldest entries are to go: those made before `before`."""

    conversation: str
    before: int


class Retention:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, appender: Appender) -> None:
        self._db = db
        self._messages = db[MESSAGES]
        self._reactions = db[REACTIONS]
        self._conversations = db[CONVERSATIONS]
        self._uploads = Uploads(db)
        self._appender = appender

    async def outdated(self, now: int, *, default_s: int, limit: int) -> list[Outdated]:
        """Conversations with entries that are too old, at most `limit`. `default_s` is for those that have no retention
        of their own; 0: they keep everything.

        Those are due when their oldest entry is a twenty-fourth beyond the retention, an hour at most, so that a busy
        log is not trimmed entry by entry. A thread goes by the conversation that it belongs to.
        """
        due = await self._by_own(now, limit)
        if default_s and len(due) < limit:
            due += await self._by_default(now, default_s, limit - len(due))
        return due

    async def trim(self, outdated: Outdated, *, at: int) -> int:
        """Remove what is too old, up to STRETCH entries; returns how many. May be repeated, and be done by several.

        Raises Overloaded, NotFound.
        """
        conversation = outdated.conversation
        with translated():
            row = await self._conversations.find_one({"_id": conversation}, {"head": 1, "oldest": 1})
        if row is None:
            raise NotFound(conversation)
        # Not beyond the summary: a hub that knows nothing of the log begins to look there for its end.
        stretch = await self._stretch(conversation, outdated.before, int(row["head"]["offset"]))
        if not stretch:
            await self._note_oldest(conversation, at)
            return 0
        upto = position_of(stretch[-1])
        if upto.offset >= int(row.get("oldest", 1)):
            new = NewEntry(
                conversation, EntryKind.CONVERSATION_UPDATED, _BY_SERVER, at, None, {"oldest": upto.offset + 1}
            )
            await self._appender.append_with(new, partial(self._tell, upto.n))
        await self._remove(conversation, position_of(stretch[0]).offset, upto.offset)
        await self._note_oldest(conversation, at)
        return len(stretch)

    async def _by_own(self, now: int, limit: int) -> list[Outdated]:
        query: Document = {"settings.retention_s": {"$exists": True}}
        fields = {"settings.retention_s": 1, "oldest_at": 1}
        due: list[Outdated] = []
        with translated():
            async for row in self._conversations.find(query, fields).hint(RETENTION).batch_size(_CHUNK):
                retention_s = int(row["settings"]["retention_s"])
                if row.get("oldest_at", 0) < _due_before(now, retention_s):
                    due += await self._with_threads(row["_id"], _kept_from(now, retention_s))
                if len(due) >= limit:
                    break
        return due[:limit]

    async def _with_threads(self, conversation: str, before: int) -> list[Outdated]:
        query: Document = {"parent": conversation, "oldest_at": {"$lt": before}}
        with translated():
            threads = await self._conversations.find(query, {"_id": 1}, limit=_CHUNK).to_list(_CHUNK)
        return [Outdated(one, before) for one in [conversation, *(row["_id"] for row in threads)]]

    async def _by_default(self, now: int, default_s: int, limit: int) -> list[Outdated]:
        query: Document = {
            "oldest_at": {"$lt": _due_before(now, default_s)},
            "settings.retention_s": {"$exists": False},
        }
        with translated():
            found = self._conversations.find(query, {"parent": 1}, sort=[("oldest_at", ASCENDING)], limit=limit)
            rows = await found.hint(OLDEST).to_list(limit)
        other = await self._of_others([row["parent"] for row in rows if "parent" in row])
        before = _kept_from(now, default_s)
        return [Outdated(row["_id"], before) for row in rows if row.get("parent") not in other]

    async def _of_others(self, conversations: Collection[str]) -> set[str]:
        """Those that have a retention of their own."""
        rows = await read_rows(self._db, conversations, {"settings.retention_s": 1})
        return {row["_id"] for row in rows if "retention_s" in row.get("settings", {})}

    async def _stretch(self, conversation: str, before: int, head: int) -> Sequence[Document]:
        """The oldest entries as far as all are too old; none where they are but traces of earlier removals."""
        keys = {"$gt": log_key(conversation, 0), "$lte": log_key(conversation, head)}
        fields = {"t": 1, "n": 1, "y": 1, "u": 1}
        with translated():
            found = self._messages.find({"_id": keys}, fields, sort=[("_id", ASCENDING)], limit=STRETCH)
            entries = await found.batch_size(_CHUNK).to_list(STRETCH)
        young = next((index for index, entry in enumerate(entries) if entry["t"] >= before), len(entries))
        old = entries[:young]
        return old if any(entry["u"] != _BY_SERVER for entry in old) else []

    async def _tell(self, n: int, session: Session, entry: Entry) -> Entry | None:
        oldest: int = entry.body["oldest"]
        row = {"_id": entry.conversation}
        with translated():
            moved = await self._conversations.update_one(
                {**row, "$expr": {"$lt": [{"$ifNull": ["$oldest", 1]}, oldest]}},
                {"$set": {"oldest": oldest, "oldest_n": n}, "$pull": {"pins": {"$lt": oldest}}},
                session=session,
            )
            if not moved.matched_count:
                return None
            # What is shown of it in lists goes with the message.
            await self._conversations.update_one(
                {**row, "last_message.offset": {"$lt": oldest}}, {"$unset": {"last_message": ""}}, session=session
            )
        return entry

    async def _remove(self, conversation: str, first: int, last: int) -> None:
        for begin in range(first - 1, last, _CHUNK):
            stretch = {
                "_id": {"$gt": log_key(conversation, begin), "$lte": log_key(conversation, min(begin + _CHUNK, last))}
            }
            with translated():
                # Without the hint the index of uploads is taken, and looked through from end to end.
                carrying = self._messages.find({**stretch, "f": {"$exists": True}}, {"f": 1}, hint={"_id": 1})
                rows = await carrying.batch_size(_CHUNK + 1).to_list(_CHUNK)
                released = {upload for row in rows for upload in row["f"]}
                await self._messages.delete_many(stretch)
            if released:
                # Should this process end before: they are looked at now and then anyway.
                await self._uploads.release(released)
        # "<key of the message>|…"; the brace is above the bar.
        with translated():
            await self._reactions.delete_many(
                {"_id": {"$gt": log_key(conversation, first), "$lt": f"{log_key(conversation, last)}}}"}}
            )

    async def _note_oldest(self, conversation: str, at: int) -> None:
        """Write how old the log is now; where only traces of removals are that old, it is as young as can be."""
        keys = {"$gt": log_key(conversation, 0), "$lte": f"{conversation}:g"}
        with translated():
            first = await self._messages.find_one({"_id": keys, "u": {"$ne": _BY_SERVER}}, {"t": 1}, sort=[("_id", 1)])
            await self._conversations.update_one(
                {"_id": conversation}, {"$set": {"oldest_at": at if first is None else int(first["t"])}}
            )


def _kept_from(now: int, retention_s: int) -> int:
    return now - max(retention_s, MIN_RETENTION_S) * 1000


def _due_before(now: int, retention_s: int) -> int:
    """How old the oldest entry has to be for it to be worth while."""
    retention_s = max(retention_s, MIN_RETENTION_S)
    return _kept_from(now, retention_s) - min(retention_s // 24, 3600) * 1000
