"""Members who were let in while this process could not be told: found, and subscribed after all.

The notice of who came goes over the bus, and unlike the entry that tells of it nothing reveals its loss: nobody here
listens to a conversation that none of its members here had before. So while the bus is away, and once after it may have
lost something, the rows of the users who are connected here are looked at.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from chat.backend.announcer import EngineAnnouncer
from chat.vocabulary import render
from realtime.engine import Engine
from storage.errors import StorageError
from storage.model import Member
from storage.mongo.newcomers import MAX_USERS
from storage.store import Store

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 3.0
SLACK_MS: Final = 60_000
"""Times of rows are given by whichever process wrote them; clocks that are further apart hide a newcomer from this."""


class Rejoining:
    """Looks for newcomers in rounds. Owns no task; `look` is one round.

    Bound: a round asks of `MAX_USERS` users in one query, one query after the other.
    """

    def __init__(
        self,
        store: Store,
        announcer: EngineAnnouncer,
        *,
        alive: Callable[[], bool],
        gaps: Callable[[], int],
        clock_ms: Callable[[], int],
    ) -> None:
        """`alive`: whether the bus proves to be; `gaps`: how often it may have lost something."""
        self._store = store
        self._announcer = announcer
        self._alive = alive
        self._gaps = gaps
        self._clock_ms = clock_ms
        self._engine: Engine | None = None
        self._revisions: dict[str, int] = {}
        self._seen_gaps = gaps()
        self._sure_at = clock_ms()

    def attach(self, engine: Engine) -> None:
        self._engine = engine

    def connecting(self, user: str, revision: int) -> None:
        """The user's conversations are going to be read, with everything up to this revision."""
        self._revisions.setdefault(user, revision)

    async def look(self) -> None:
        """One round, if there is reason for it. Raises StorageError."""
        gaps, alive, began_at = self._gaps(), self._alive(), self._clock_ms()
        if alive and gaps == self._seen_gaps:
            self._sure_at = began_at
            self._forget_gone()
            return
        for revisions in self._chunks():
            rows = await self._store.newcomers.since(revisions, joined_after=self._sure_at - SLACK_MS)
            for row in rows:
                self._let_in(row)
                self._revisions[row.user] = max(row.revision, self._revisions.get(row.user, 0))
        if alive:
            self._seen_gaps = gaps

    def _chunks(self) -> Iterator[dict[str, int]]:
        self._forget_gone()
        every = list(self._revisions.items())
        for start in range(0, len(every), MAX_USERS):
            yield dict(every[start : start + MAX_USERS])

    def _forget_gone(self) -> None:
        if self._engine is not None:
            here = self._engine.hub.users
            for user in [user for user in self._revisions if user not in here]:
                del self._revisions[user]

    def _let_in(self, row: Member) -> None:
        if self._engine is None:
            return
        channel = render.conversation_channel(row.conversation)
        sessions = self._engine.hub.users.get(row.user, ())
        if any(channel not in session.subscriptions and channel not in session.watched for session in sessions):
            log.info("newcomer_found", conversation=row.conversation)
            self._announcer.found(row)


@asynccontextmanager
async def rejoining(rounds: Rejoining) -> AsyncIterator[None]:
    """Look for newcomers in the background while the block lasts."""

    async def run() -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                await rounds.look()
            except StorageError as error:
                log.debug("newcomers_put_off", error=str(error))

    task = asyncio.create_task(run(), name="rejoining")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
