"""Bringing summaries to what the log says, where a process died between a commit and writing the summary."""

from collections.abc import Iterable

from pymongo import ASCENDING

from storage.model import Entry, ids
from storage.model.due import Due, DueKind
from storage.mongo.client import Collection, Database, Document, translated
from storage.mongo.due import DueMarks
from storage.mongo.fold import Fold, message_place
from storage.mongo.log import Log
from storage.mongo.rows import member_key
from storage.mongo.schema import CONVERSATIONS, MEMBERS
from storage.mongo.summaries import write
from storage.mongo.telling import replies_of

_CHUNK = 1000


class Repair:
    """Compares before it writes: as a rule the hubs have written everything. Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._log = Log(db)
        self._conversations = db[CONVERSATIONS]
        self._members = db[MEMBERS]
        self._marks = DueMarks(db)

    async def apply(self, fold: Fold) -> int:
        """Write what of the fold is not in the rows yet; returns how many rows were behind."""
        behind = Fold()
        heads = await _offsets(self._conversations, fold.heads, "head")
        messages = await self._messages(fold.messages)
        behind.add(
            head for conversation, head in fold.heads.items() if heads.get(conversation, head.offset) < head.offset
        )
        behind.add(
            message
            for conversation, message in fold.messages.items()
            if messages.get(conversation, message_place(message)) < message_place(message)
        )
        keys = {member_key(conversation, user): (conversation, user) for conversation, user in fold.reads}
        reads = await _offsets(self._members, keys, "read")
        for key, offset in reads.items():
            if offset < fold.reads[keys[key]].offset:
                behind.reads[keys[key]] = fold.reads[keys[key]]
        await write(behind, members=self._members, conversations=self._conversations)
        threads = [await self._thread(head) for head in fold.heads.values()]
        return len(behind) + sum(threads)

    async def everything(self) -> int:
        """Compare every conversation with its log, page by page; returns how many rows were behind.

        For when it is not known what was missed. Senders' read positions are brought forward as far as their messages
        are after the summary's head.
        """
        repaired, after = 0, ""
        while True:
            with translated():
                rows = await self._conversations.find(
                    {"_id": {"$gt": after}}, {"head": 1}, sort=[("_id", ASCENDING)], limit=_CHUNK, batch_size=_CHUNK + 1
                ).to_list(_CHUNK)
            for row in rows:
                repaired += await self._conversation(row["_id"], int(row["head"]["offset"]))
            if len(rows) < _CHUNK:
                return repaired
            after = rows[-1]["_id"]

    async def _messages(self, conversations: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Where the last message of each conversation's summary comes from."""
        offsets = await _offsets(self._conversations, conversations, "last_message")
        changed = await _offsets(self._conversations, conversations, "last_message", "changed")
        return {conversation: (offset, changed[conversation]) for conversation, offset in offsets.items()}

    async def _thread(self, last: Entry) -> bool:
        """Mark the message that is replied to, if it does not tell of all replies yet. Whoever sweeps settles that."""
        root = ids.thread_root(last.conversation)
        message = None if root is None else await self._log.get(*root)
        if root is None or message is None or replies_of(message) >= last.n:
            return False
        await self._marks.put(Due(DueKind.THREAD, *root), by=last.by, at=last.at)
        return True

    async def _conversation(self, conversation: str, head: int) -> int:
        repaired = 0
        if ids.thread_root(conversation) is not None:
            newest = (await self._log.messages_before(conversation, None, 1)).entries
            repaired += sum([await self._thread(message) for message in newest])
        while True:
            found = await self._log.range(conversation, head, limit=_CHUNK)
            if found.entries:
                fold = Fold()
                fold.add(found.entries)
                await write(fold, members=self._members, conversations=self._conversations)
                repaired += len(fold)
                head = found.entries[-1].offset
            if found.complete:
                return repaired


async def _offsets(collection: Collection, keys: Iterable[str], field: str, offset: str = "offset") -> dict[str, int]:
    """The offset in that field of each row that exists, 0 where it has none."""
    every = list(keys)
    offsets: dict[str, int] = {}
    for start in range(0, len(every), _CHUNK):
        chunk = every[start : start + _CHUNK]
        with translated():
            rows: list[Document] = await collection.find(
                {"_id": {"$in": chunk}}, {f"{field}.{offset}": 1}, batch_size=len(chunk) + 1
            ).to_list(None)
        offsets.update((row["_id"], int(row.get(field, {}).get(offset, 0))) for row in rows)
    return offsets
