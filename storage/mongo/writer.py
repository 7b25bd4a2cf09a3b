"""The work of the append machine, done against MongoDB. What goes wrong becomes an unknown outcome or Unavailable."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, cast

import structlog

from storage.append.work import CatchUp, Found, Insert, InsertOutcome, Lookup, ReadHeads, Transact
from storage.errors import Contended, StorageError, Unavailable
from storage.model import Entry, NewEntry, Position
from storage.mongo.client import Database, Session, translated
from storage.mongo.documents import Prepared, document_of, prepare
from storage.mongo.log import Log
from storage.mongo.transaction import transaction

Changes: TypeAlias = Callable[[Session, Entry], Awaitable[Entry | None]]
"""Changes rows in the transaction that is to append the entry, and returns the entry to append: the given one, perhaps
with another body. None: there is nothing to change, the transaction is dropped. May run several times; raises
StorageError."""

Heads: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, Position]]]
"""Committed positions of conversations, as near to their tails as is cheap to tell. It may leave some out."""

_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Changing:
    """The payload of an entry that commits together with changes of rows; of any other entry it is its `Prepared`."""

    changes: Changes
    own_key: bytes


class Writer:
    """Executes what `Lanes.next_work` asks for. Cancelling does not stop a command that was sent."""

    def __init__(self, db: Database, heads: Heads, *, clock: Callable[[], int] | None = None) -> None:
        """`clock` as for `Log`: who repeats a send after it expired is answered with what is left of it."""
        self._client = db.client
        self._log = Log(db, clock=clock)
        self._heads = heads

    async def insert(self, work: Insert) -> list[InsertOutcome]:
        """What became of each entry. Never raises."""
        documents = [
            document_of(cast("Prepared", item.payload).fields, run.conversation, entry.offset, entry.n)
            for run in work.runs
            for item, entry in zip(run.items, run.entries, strict=True)
        ]
        try:
            with _guarded():
                return await self._log.insert(documents, ordered=work.ordered)
        except StorageError:
            return [InsertOutcome.UNKNOWN] * len(documents)

    async def transact(self, work: Transact) -> Entry | InsertOutcome | StorageError | None:
        """The entry as it was committed; None when there was nothing to change; or why it was not. Never raises."""
        try:
            with _guarded():
                return await self._commit(work.run.entries[0], cast("Changing", work.item.payload))
        except Contended:
            return InsertOutcome.UNKNOWN
        except Unavailable as error:
            _logger.warning("transaction_outcome_unknown", conversation=work.run.conversation, reason=str(error))
            return InsertOutcome.UNKNOWN
        except StorageError as error:
            return error

    async def read_heads(self, work: ReadHeads) -> Mapping[str, Position]:
        """A committed position of each conversation. Raises StorageError."""
        with _guarded():
            heads = dict(await self._heads(work.conversations))
            for conversation in work.conversations:
                if conversation not in heads:
                    heads[conversation] = await self._log.tail(conversation)
            return heads

    async def catch_up(self, work: CatchUp) -> tuple[list[Found], bool]:
        """What is after the offset, and whether that is all. Raises StorageError."""
        with _guarded():
            return await self._log.examine(work.conversation, work.after)

    async def look_up(self, work: Lookup) -> Found | None:
        """The entry that has the identity. Raises StorageError."""
        with _guarded():
            return await self._log.find(work.item.identity)

    async def _commit(self, entry: Entry, changing: Changing) -> Entry | InsertOutcome | None:
        async with transaction(self._client) as session:
            changed = await _bug_is_refusal(changing.changes(session, entry))
            if changed is None:
                await session.abort_transaction()
                return None
            new = NewEntry(changed.conversation, changed.kind, changed.by, changed.at, changed.key, changed.body)
            prepared = prepare(new, own_key=lambda: changing.own_key)
            document = document_of(prepared.fields, changed.conversation, changed.offset, changed.n)
            outcome = await self._log.insert_within(session, document)
            if outcome is not InsertOutcome.INSERTED:
                await session.abort_transaction()
                return outcome
        return changed


@contextmanager
def _guarded() -> Iterator[None]:
    """A bug in here must not stop the queue: it is logged and counts as an unknown outcome."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        _logger.exception("append_work_failed")
        raise Unavailable("internal error") from error


async def _bug_is_refusal(changes: Awaitable[Entry | None]) -> Entry | None:
    """Nothing is committed yet when changes fail, so that a failure nobody expected is not worth repeating."""
    try:
        with translated():
            return await changes
    except StorageError:
        raise
    except Exception as error:
        _logger.exception("changes_failed")
        raise StorageError("internal error") from error
