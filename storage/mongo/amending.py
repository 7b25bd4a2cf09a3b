"""Changing a message: its row and the entry that tells of it, in one transaction."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from storage.errors import NotFound
from storage.model import Appended, Change, Entry, EntryKind, NewEntry, uploads_of
from storage.mongo.appender import Appender
from storage.mongo.client import Database, Session
from storage.mongo.log import Log
from storage.mongo.uploads import Uploads

Decide: TypeAlias = Callable[[Entry, Entry], Change | None]
"""Given the message as it stands and the entry that is to tell of the change (with its place, without its body): what
is to be written; None: nothing. Pure, may run several times, may raise StorageError."""

Within: TypeAlias = Callable[[Session, Entry], Awaitable[None]]
"""Changes other rows in the same transaction, given the message as it was. May run several times."""


class Amending:
    """Every method may raise Unavailable, Overloaded, PreconditionFailed."""

    def __init__(self, db: Database, appender: Appender) -> None:
        self._log = Log(db)
        self._uploads = Uploads(db)
        self._appender = appender

    async def amend(
        self,
        new: NewEntry,
        target: int,
        decide: Decide,
        *,
        within: Within | None = None,
        check: Callable[[], bool] | None = None,
    ) -> Appended | None:
        """Change the message at `target` of the conversation of `new`, whose body does not matter: `decide` gives it.

        None: there was nothing to change. With a key in `new` a repeat is answered with the first one's entry. Raises
        NotFound (there is no message at the target), what `decide` raises.
        """
        return await self._appender.append_with(new, partial(self._apply, target, decide, within), check=check)

    async def _apply(
        self, target: int, decide: Decide, within: Within | None, session: Session, entry: Entry
    ) -> Entry | None:
        if entry.key is not None and await self._log.has_within(session, entry.conversation, entry.by, entry.key):
            # A repeat: the log refuses it for its key, and answers with the first one's entry.
            return entry
        message = await self._log.get_within(session, entry.conversation, target)
        if message is None or message.kind is not EntryKind.MESSAGE_CREATED:
            raise NotFound(f"no message at {target}")
        change = decide(message, entry)
        if change is None:
            return None
        if change.message is not None:
            await self._log.rewrite_within(session, message, change.message)
            if released := set(uploads_of(message.body)) - set(uploads_of(change.message)):
                await self._uploads.release(released, session=session)
        for offset, body in change.others.items():
            other = await self._log.get_within(session, entry.conversation, offset)
            if other is not None:
                await self._log.rewrite_within(session, other, body)
        if within is not None:
            await within(session, message)
        return entry.with_body(change.entry)
