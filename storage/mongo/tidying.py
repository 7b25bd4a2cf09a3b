"""Deletes what has expired and removes what is older than it may be kept. One process at a time, elected by a lease.

The lease saves work, no more: whoever does something twice finds it done.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from storage.errors import NotFound, StorageError
from storage.model import EntryKind, NewEntry
from storage.mongo.client import Database
from storage.mongo.expiring import Expiring
from storage.mongo.retention import Outdated, Retention
from storage.mongo.rewording import Rewording
from storage.mongo.rounds import Rounds, Work

EXPIRY_EVERY_S: Final = 0.5
RETENTION_EVERY_S: Final = 30.0
ROUND: Final = 256
"""Messages, or conversations, looked at in one round; with as many there is a next round at once."""

AT_ONCE: Final = 8
EXPIRED: Final = "expired"
BY_SERVER: Final = ""
"""Whose entries these are: nobody's."""

_logger = structlog.get_logger(__name__)


class Tidying(Rounds):
    """What fails is tried again, others first."""

    def __init__(
        self,
        db: Database,
        expiring: Expiring,
        retention: Retention,
        rewording: Rewording,
        *,
        owner: str,
        default_retention_s: int,
        clock: Callable[[], int],
    ) -> None:
        """`owner` names this process and run; no two may share one. `default_retention_s` as for `Retention`."""
        works = [Work("expiry", EXPIRY_EVERY_S, self.expire), Work("retention", RETENTION_EVERY_S, self.trim)]
        super().__init__(db, "tidying", works, owner=owner)
        self._expiring = expiring
        self._retention = retention
        self._rewording = rewording
        self._default_retention_s = default_retention_s
        self._clock = clock
        self._failed: set[tuple[str, int]] = set()

    async def expire(self) -> bool:
        """Delete messages that are due, up to ROUND; whether there may be more. Raises Unavailable."""
        due = await self._expiring.due(self._clock(), limit=ROUND + len(self._failed))
        fresh = [one for one in due if one not in self._failed][:ROUND]
        # What failed has its turn when nothing else is due.
        chosen = fresh or due[:ROUND]
        for start in range(0, len(chosen), AT_ONCE):
            await asyncio.gather(*(self._delete(*one) for one in chosen[start : start + AT_ONCE]))
        return len(fresh) == ROUND

    async def trim(self) -> bool:
        """Remove a stretch of each log that is due, up to ROUND; whether there may be more. Raises Unavailable."""
        due = await self._retention.outdated(self._clock(), default_s=self._default_retention_s, limit=ROUND)
        removed = [await self._trim(one) for one in due]
        return any(removed)

    async def _delete(self, conversation: str, offset: int) -> None:
        new = NewEntry(conversation, EntryKind.MESSAGE_DELETED, BY_SERVER, self._clock(), None, {})
        try:
            await self._rewording.delete(new, offset, reason=EXPIRED)
        except NotFound:
            pass
        except StorageError as error:
            if len(self._failed) < ROUND:
                self._failed.add((conversation, offset))
            _logger.warning("message_not_expired", conversation=conversation, offset=offset, reason=str(error))
            return
        self._failed.discard((conversation, offset))

    async def _trim(self, outdated: Outdated) -> int:
        try:
            removed = await self._retention.trim(outdated, at=self._clock())
        except StorageError as error:
            _logger.warning("log_not_trimmed", conversation=outdated.conversation, reason=str(error))
            return 0
        if removed:
            _logger.info("log_trimmed", conversation=outdated.conversation, entries=removed)
        return removed
