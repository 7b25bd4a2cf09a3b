"""The only module that touches the collection of entries.

On a clustered key `$in` and `$or` scan the whole collection, so every query here is one range of one conversation or
one key of the unique index. A test explains each of them. Reads are majority reads: what was shown once is never taken
back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from storage.append.work import Found, Identity, InsertOutcome
from storage.errors import StorageError
from storage.model import ORIGIN, Entry, EntryKind, Position
from storage.model.expiry import as_of
from storage.model.keys import MAX_OFFSET, log_bounds, log_key, parse_log_key
from storage.mongo.client import Database, Document, Session, is_temporary, translate, translated
from storage.mongo.documents import (
    BODY_FIELDS,
    body_fields,
    entry_of,
    identity_of,
    key_identity,
    position_of,
    size_of,
    stored_key,
)
from storage.mongo.schema import MESSAGES

_logger = structlog.get_logger(__name__)

EXAMINED_PER_MESSAGE: Final = 20
"""A page of messages looks at no more than this many entries per message that was asked for."""

MAX_LIMIT: Final = 1000
MAX_BYTES: Final = 4 * 1024 * 1024
_DUPLICATE: Final = 11000


@dataclass(frozen=True, slots=True)
class LogRange:
    """Consecutive entries, ascending. `complete`: no entry of the range that was asked for is missing at its end."""

    entries: list[Entry]
    complete: bool


@dataclass(frozen=True, slots=True)
class LogPage:
    """Messages, ascending, other entries left out.

    Everything from `oldest` to `newest` was looked at: page on with `before=oldest` or `after=newest` (both None when
    there was nothing to look at). `has_before`, `has_after`: there is more, or there may be. `truncated_by` says why
    there are fewer messages than asked for although there are more.
    """

    entries: list[Entry]
    oldest: int | None
    newest: int | None
    has_before: bool
    has_after: bool
    truncated_by: Literal["examined", "bytes", "retention"] | None = None


class Log:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, *, clock: Callable[[], int] | None = None) -> None:
        """With a clock (ms UTC), messages that have expired read as deleted; without, all is as it stands."""
        self._messages = db[MESSAGES]
        self._clock = clock

    async def tail(self, conversation: str) -> Position:
        """The last entry's position; ORIGIN when there is none."""
        return await self.position_at(conversation, MAX_OFFSET)

    async def tails(self, conversations: Sequence[str]) -> dict[str, Position]:
        """The same of several, by one command: each is one step into the collection, from its end."""
        every = list(dict.fromkeys(conversations))
        if not every:
            return {}
        first, *others = ([*_last_of(conversation)] for conversation in every)
        unions: list[Document] = [{"$unionWith": {"coll": MESSAGES, "pipeline": one}} for one in others]
        with translated():
            found = self._messages.aggregate([*first, *unions], batchSize=len(every) + 1)
            documents = await found.to_list(None)
        tails = dict.fromkeys(every, ORIGIN)
        tails.update((parse_log_key(document["_id"])[0], position_of(document)) for document in documents)
        return tails

    async def position_at(self, conversation: str, offset: int) -> Position:
        """The position of the last entry that is not after the offset; ORIGIN when there is none.

        Below what is retained it is the offset itself, with the messages that were removed counted as before it.
        """
        upto = min(offset, MAX_OFFSET)
        found = await self._read(conversation, after=0, upto=upto, direction=DESCENDING, limit=1, fields={"n": 1})
        if found:
            return position_of(found[0])
        first = await self.first(conversation) if upto < MAX_OFFSET else None
        return ORIGIN if first is None or upto < 1 else Position(upto, first.n - first.kind.counts)

    async def first(self, conversation: str) -> Entry | None:
        """The oldest entry that is retained."""
        found = await self._read(conversation, after=0, upto=MAX_OFFSET, direction=ASCENDING, limit=1)
        return self._entry(found[0]) if found else None

    async def get(self, conversation: str, offset: int) -> Entry | None:
        """One entry."""
        if not 1 <= offset <= MAX_OFFSET:
            return None
        with translated():
            document = await self._messages.find_one({"_id": log_key(conversation, offset)})
        return self._entry(document) if document else None

    async def by_key(self, conversation: str, by: str, key: str) -> Entry | None:
        """The entry that the sender's idempotency key stands for. Raises Invalid when it is no key."""
        found = await self.find((conversation, by, key_identity(key)))
        return found.entry if found else None

    async def find(self, identity: Identity) -> Found | None:
        """The entry with this identity."""
        conversation, by, key = identity
        with translated():
            document = await self._messages.find_one({"c": conversation, "u": by, "k": stored_key(key)})
        return Found(self._entry(document), identity_of(document)) if document else None

    async def range(
        self, conversation: str, after: int, upto: int | None = None, *, limit: int, max_bytes: int = MAX_BYTES
    ) -> LogRange:
        """Entries with after < offset <= upto (None: to the end), the first `limit` or `max_bytes` of them.

        At least one if there is one, however large. Entries below what is retained are not there: the first one's
        offset tells. Raises StorageError should the log have a hole, which is a bug.
        """
        limit = min(limit, MAX_LIMIT)
        found = await self._read(
            conversation, after=after, upto=MAX_OFFSET if upto is None else upto, direction=ASCENDING, limit=limit + 1
        )
        kept = _within(found[:limit], max_bytes)
        _assert_consecutive(conversation, kept)
        return LogRange([self._entry(document) for document in kept], complete=len(kept) == len(found))

    async def examine(self, conversation: str, after: int, *, limit: int = 500) -> tuple[list[Found], bool]:
        """What is after the offset, with the keys as stored, and whether that is all."""
        found = await self._read(conversation, after=after, upto=MAX_OFFSET, direction=ASCENDING, limit=limit)
        kept = _within(found, MAX_BYTES)
        _assert_consecutive(conversation, kept)
        entries = [Found(self._entry(document), identity_of(document)) for document in kept]
        return entries, len(kept) == len(found) < limit

    async def messages_before(
        self, conversation: str, before: int | None, limit: int, *, max_bytes: int = MAX_BYTES
    ) -> LogPage:
        """The newest `limit` messages with offset < before (None: of all)."""
        upto = MAX_OFFSET if before is None else min(before - 1, MAX_OFFSET)
        page = _Page(limit, max_bytes)
        reached_end = await self._fill(page, conversation, 0, upto, DESCENDING)
        return self._page_before(page, before, reached_end=reached_end)

    async def newest(self, after: Mapping[str, int], limit: int) -> dict[str, LogPage]:
        """The newest `limit` messages of each of these conversations, as far as they are after that offset: as if
        nothing were before it. One command, but for logs whose end has little else than other entries.
        """
        if not after:
            return {}
        first, *others = ([*_newest_of(*each, limit + 1)] for each in after.items())
        unions: list[Document] = [{"$unionWith": {"coll": MESSAGES, "pipeline": one}} for one in others]
        found: dict[str, list[Document]] = {conversation: [] for conversation in after}
        with translated():
            for document in await self._messages.aggregate([*first, *unions]).to_list(None):
                found[parse_log_key(document["_id"])[0]].append(document)
        pages: dict[str, LogPage] = {}
        for conversation, documents in found.items():
            page = _Page(limit, MAX_BYTES)
            reached_end = all(map(page.take, documents))
            if reached_end and len(documents) > limit:
                page = _Page(limit, MAX_BYTES)
                reached_end = await self._fill(page, conversation, after[conversation], MAX_OFFSET, DESCENDING)
            pages[conversation] = self._page_before(page, None, reached_end=reached_end)
        return pages

    def _page_before(self, page: "_Page", before: int | None, *, reached_end: bool) -> LogPage:
        page.entries.reverse()
        # A log begins at 1: what is not there any more was removed.
        lowest = (1 if before is None else before) if page.last is None else page.last
        return LogPage(
            self._entries(page),
            oldest=page.last,
            newest=page.first,
            has_before=not reached_end,
            has_after=before is not None,
            truncated_by=("retention" if lowest > 1 else None) if reached_end else page.truncated_by,
        )

    async def messages_after(self, conversation: str, after: int, limit: int, *, max_bytes: int = MAX_BYTES) -> LogPage:
        """The oldest `limit` messages with offset > after."""
        page = _Page(limit, max_bytes)
        reached_end = await self._fill(page, conversation, after, MAX_OFFSET, ASCENDING)
        removed = page.first is not None and page.first > after + 1
        return LogPage(
            self._entries(page),
            oldest=page.first,
            newest=page.last,
            has_before=after > 0 and not removed,
            has_after=not reached_end,
            truncated_by="retention" if removed else None if reached_end else page.truncated_by,
        )

    async def insert(self, documents: Sequence[Document], *, ordered: bool) -> list[InsertOutcome]:
        """Insert in one command; what became of each. Cancelling does not stop the command. Never raises."""
        try:
            await self._messages.insert_many(documents, ordered=ordered)
        except BulkWriteError as error:
            return insert_outcomes(error.details or {}, len(documents), ordered=ordered)
        except PyMongoError as error:
            _logger.warning("insert_outcome_unknown", documents=len(documents), reason=str(translate(error)))
            return [InsertOutcome.UNKNOWN] * len(documents)
        return [InsertOutcome.INSERTED] * len(documents)

    async def insert_within(self, session: Session, document: Document) -> InsertOutcome:
        """Insert within a transaction. It has to be aborted unless the outcome is INSERTED."""
        try:
            await self._messages.insert_one(document, session=session)
        except DuplicateKeyError as error:
            return _duplicate(error.details or {})
        except PyMongoError as error:
            if not is_temporary(error):
                raise translate(error) from error
            # A concurrent transaction may be about to take the place: look again.
            return InsertOutcome.UNKNOWN
        return InsertOutcome.INSERTED

    async def get_within(self, session: Session, conversation: str, offset: int) -> Entry | None:
        """One entry, within a transaction that is to change it."""
        if not 1 <= offset <= MAX_OFFSET:
            return None
        with translated():
            document = await self._messages.find_one({"_id": log_key(conversation, offset)}, session=session)
        return entry_of(document) if document else None

    async def has_within(self, session: Session, conversation: str, by: str, key: str) -> bool:
        """Whether there is an entry with the sender's key already, as the transaction sees the log."""
        query = {"c": conversation, "u": by, "k": stored_key(key_identity(key))}
        with translated():
            return await self._messages.find_one(query, {"_id": 1}, session=session) is not None

    async def rewrite_within(self, session: Session, entry: Entry, body: Mapping[str, Any]) -> None:
        """Give an entry another body, within a transaction. Its place, sender, key and time stay. Raises Invalid."""
        fields = body_fields(entry.kind, body)
        gone = [name for name in BODY_FIELDS if name not in fields]
        update: Document = {"$unset": dict.fromkeys(gone, "")}
        if fields:
            update["$set"] = fields
        with translated():
            await self._messages.update_one({"_id": log_key(entry.conversation, entry.offset)}, update, session=session)

    def _entry(self, document: Mapping[str, Any]) -> Entry:
        entry = entry_of(document)
        return entry if self._clock is None else as_of(entry, self._clock())

    def _entries(self, page: "_Page") -> list[Entry]:
        now = None if self._clock is None else self._clock()
        return page.entries if now is None else [as_of(entry, now) for entry in page.entries]

    async def using(self, upload: str, limit: int, *, conversation: str | None = None) -> list[tuple[str, int]]:
        """(conversation, offset) of the first messages that use an upload, in one conversation or anywhere."""
        query: Document = {"f": upload}
        if conversation is not None:
            first, last = log_bounds(conversation)
            query["_id"] = {"$gt": first, "$lte": last}
        with translated():
            found = self._messages.find(query, {"_id": 1}, limit=limit)
            return [parse_log_key(row["_id"]) for row in await found.batch_size(limit + 1).to_list(limit)]

    async def _fill(self, page: "_Page", conversation: str, after: int, upto: int, direction: int) -> bool:
        """Read on until the page is full or enough was examined. Returns whether the end of the log was reached."""
        # Most entries are messages: one read, with one to spare to see whether there is more, as a rule suffices.
        size = page.limit + 1
        while after < upto:
            size = min(size, page.budget)
            found = await self._read(conversation, after=after, upto=upto, direction=direction, limit=size)
            for document in found:
                if not page.take(document):
                    return False
            if len(found) < size:
                return True
            if page.budget <= 0:
                page.truncated_by = "examined"
                return False
            if direction == ASCENDING:
                after = page.last or after
            else:
                upto = (page.last or upto) - 1
            size *= 2
        return True

    async def _read(
        self,
        conversation: str,
        *,
        after: int,
        upto: int,
        direction: int,
        limit: int,
        fields: Mapping[str, Any] | None = None,
    ) -> list[Document]:
        if not 0 <= after < upto:
            return []
        keys = {"$gt": log_key(conversation, after), "$lte": log_key(conversation, min(upto, MAX_OFFSET))}
        with translated():
            cursor = self._messages.find({"_id": keys}, fields, sort=[("_id", direction)], limit=limit)
            return await cursor.batch_size(limit + 1).to_list(limit)


class _Page:
    """A page of messages that is being filled. `first` and `last` are the first and the last offset looked at."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self.limit = max(1, min(limit, MAX_LIMIT))
        self.entries: list[Entry] = []
        self.first: int | None = None
        self.last: int | None = None
        self.truncated_by: Literal["examined", "bytes"] | None = None
        self.budget = self.limit * EXAMINED_PER_MESSAGE
        self._room = max_bytes

    def take(self, document: Document) -> bool:
        """Look at one more entry. False: the page is full without it."""
        if document.get("y", EntryKind.MESSAGE_CREATED) == EntryKind.MESSAGE_CREATED:
            if len(self.entries) == self.limit:
                return False
            size = size_of(document)
            if self.entries and size > self._room:
                self.truncated_by = "bytes"
                return False
            self._room -= size
            entry = entry_of(document)
            self.entries.append(entry)
            self.last = entry.offset
        else:
            self.last = parse_log_key(document["_id"])[1]
        if self.first is None:
            self.first = self.last
        self.budget -= 1
        return True


def insert_outcomes(details: Mapping[str, Any], documents: int, *, ordered: bool) -> list[InsertOutcome]:
    """What became of each document of an insert command that reported errors."""
    errors = {error["index"]: _duplicate(error) for error in details.get("writeErrors", ())}
    certain = not details.get("writeConcernErrors") and InsertOutcome.UNKNOWN not in errors.values()
    others = InsertOutcome.INSERTED if certain else InsertOutcome.UNKNOWN
    if not certain:
        _logger.warning("insert_outcome_unknown", documents=documents, reason=_reason(details))
    stopped_at = min(errors, default=documents) if ordered else documents
    return [InsertOutcome.NOT_TRIED if index > stopped_at else errors.get(index, others) for index in range(documents)]


def _duplicate(error: Mapping[str, Any]) -> InsertOutcome:
    if error.get("code") != _DUPLICATE:
        return InsertOutcome.UNKNOWN
    return InsertOutcome.TAKEN if set(error.get("keyPattern", ())) == {"_id"} else InsertOutcome.REPEATED


def _reason(details: Mapping[str, Any]) -> list[str]:
    errors = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
    return [str(error.get("errmsg"))[:200] for error in errors[:3]]


def _last_of(conversation: str) -> Iterator[Document]:
    """The stages that give the last entry of a log."""
    first, last = log_bounds(conversation)
    yield {"$match": {"_id": {"$gt": first, "$lte": last}}}
    yield {"$sort": {"_id": DESCENDING}}
    yield {"$limit": 1}
    yield {"$project": {"n": 1}}


def _newest_of(conversation: str, after: int, limit: int) -> Iterator[Document]:
    """The stages that give the last entries of a log."""
    yield {"$match": {"_id": {"$gt": log_key(conversation, after), "$lte": log_key(conversation, MAX_OFFSET)}}}
    yield {"$sort": {"_id": DESCENDING}}
    yield {"$limit": limit}


def _within(found: Sequence[Document], max_bytes: int) -> list[Document]:
    """The first of the documents that fit, one at least."""
    kept: list[Document] = []
    for document in found:
        max_bytes -= size_of(document)
        if kept and max_bytes < 0:
            break
        kept.append(document)
    return kept


def _assert_consecutive(conversation: str, found: Sequence[Document]) -> None:
    if found and position_of(found[-1]).offset - position_of(found[0]).offset + 1 != len(found):
        raise StorageError(f"the log of {conversation} has a hole")
