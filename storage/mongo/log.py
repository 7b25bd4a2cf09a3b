"""The only module that touches the collection of entries.

On a clustered key `$in` and `$or` scan the whole collection, so every query here is one range of one conversation or
one key of the unique index. A test explains each of them. Reads are majority reads: what was shown once is never taken
back.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from storage.append.work import Found, Identity, InsertOutcome
from storage.errors import StorageError
from storage.model import ORIGIN, Entry, Position
from storage.model.expiry import as_of
from storage.model.keys import MAX_OFFSET, conversation_of, log_bounds, log_key, parse_log_key
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
from storage.mongo.page import MAX_BYTES, MAX_LIMIT, LogPage, Page, Wanted
from storage.mongo.schema import MESSAGES

_logger = structlog.get_logger(__name__)

_DUPLICATE: Final = 11000
_NUMBER: Final = "page"
"""The field that numbers what is read for several pages of one conversation. Nothing that is stored is called so; and
elsewhere the conversation tells, as numbering costs the server a quarter more.
"""


@dataclass(frozen=True, slots=True)
class LogRange:
    """Consecutive entries, ascending. `complete`: no entry of the range that was asked for is missing at its end."""

    entries: list[Entry]
    complete: bool


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
        return await self.page(Wanted(conversation, DESCENDING, before, limit, max_bytes))

    async def messages_after(self, conversation: str, after: int, limit: int, *, max_bytes: int = MAX_BYTES) -> LogPage:
        """The oldest `limit` messages with offset > after."""
        return await self.page(Wanted(conversation, ASCENDING, after, limit, max_bytes))

    async def page(self, wanted: Wanted) -> LogPage:
        """The page."""
        page = Page(wanted)
        await self._fill(page)
        return page.made(self._now())

    async def pages(self, wanted: Sequence[Wanted]) -> list[LogPage]:
        """Several pages by one command, each of them one range; but where so much else is in between that it takes a
        second look.
        """
        pages = [Page(one) for one in wanted]
        for page, found in zip(pages, await self._begin(pages), strict=True):
            page.take(found)
            await self._fill(page)
        now = self._now()
        return [page.made(now) for page in pages]

    async def newest(self, after: Mapping[str, int], limit: int) -> dict[str, LogPage]:
        """The newest `limit` messages of each of these conversations, as far as they are after that offset: as if
        nothing were before it. As `pages`.
        """
        wanted = [Wanted(conversation, DESCENDING, None, limit, floor=floor) for conversation, floor in after.items()]
        return dict(zip(after, await self.pages(wanted), strict=True))

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
        entry, now = entry_of(document), self._now()
        return entry if now is None else as_of(entry, now)

    async def using(self, upload: str, limit: int, *, conversation: str | None = None) -> list[tuple[str, int]]:
        """(conversation, offset) of the first messages that use an upload, in one conversation or anywhere."""
        query: Document = {"f": upload}
        if conversation is not None:
            first, last = log_bounds(conversation)
            query["_id"] = {"$gt": first, "$lte": last}
        with translated():
            found = self._messages.find(query, {"_id": 1}, limit=limit)
            return [parse_log_key(row["_id"]) for row in await found.batch_size(limit + 1).to_list(limit)]

    async def _begin(self, pages: Sequence[Page]) -> list[list[Document]]:
        """What is read first for each of these, by one command."""
        if len(pages) < 2:
            return [await self._read_for(page) for page in pages]
        asked = Counter(page.wanted.conversation for page in pages)
        alone = {page.wanted.conversation: index for index, page in enumerate(pages)}
        first, *others = (
            [*_stages_of(page), *([{"$set": {_NUMBER: index}}] if asked[page.wanted.conversation] > 1 else [])]
            for index, page in enumerate(pages)
        )
        unions: list[Document] = [{"$unionWith": {"coll": MESSAGES, "pipeline": one}} for one in others]
        found: list[list[Document]] = [[] for _ in pages]
        with translated():
            cursor = self._messages.aggregate([*first, *unions], batchSize=1 + sum(page.size for page in pages))
            for document in await cursor.to_list(None):
                index = document.pop(_NUMBER, None)
                found[alone[conversation_of(document["_id"])] if index is None else index].append(document)
        return found

    async def _fill(self, page: Page) -> None:
        """Read on until the page is done."""
        while not page.done:
            page.take(await self._read_for(page))

    async def _read_for(self, page: Page) -> list[Document]:
        wanted = page.wanted
        return await self._read(
            wanted.conversation, after=page.after, upto=page.upto, direction=wanted.direction, limit=page.size
        )

    def _now(self) -> int | None:
        return None if self._clock is None else self._clock()

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


def _stages_of(page: Page) -> Iterator[Document]:
    """The stages that read what comes next for a page."""
    conversation = page.wanted.conversation
    # Of what is to give nothing, the bounds cross.
    keys = {"$gt": log_key(conversation, page.after), "$lte": log_key(conversation, max(page.upto, 0))}
    yield {"$match": {"_id": keys}}
    yield {"$sort": {"_id": page.wanted.direction}}
    yield {"$limit": page.size}


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
