"""Tells logs of what a process that was killed has left. One process at a time, elected by a lease."""

from collections.abc import Callable
from typing import Final

import structlog

from storage.errors import StorageError
from storage.mongo.client import Database
from storage.mongo.due import DueMarks
from storage.mongo.rounds import Rounds, Work
from storage.mongo.telling import Telling

OLDER_MS: Final = 3_000
"""How long the process that has made a mark is given to settle it itself."""

EVERY_S: Final = 1.0
ROUND: Final = 200
"""Marks looked at in one round; with as many there is a next round at once."""

_logger = structlog.get_logger(__name__)


class Sweep(Rounds):
    """What fails lets others have their turn."""

    def __init__(
        self,
        db: Database,
        telling: Telling,
        marks: DueMarks,
        *,
        owner: str,
        clock: Callable[[], int],
        older_ms: int = OLDER_MS,
    ) -> None:
        """`owner` names this process and run; no two may share one."""
        super().__init__(db, "sweep", [Work("sweep", EVERY_S, self.once)], owner=owner)
        self._telling = telling
        self._marks = marks
        self._clock = clock
        self._older_ms = older_ms

    async def once(self) -> bool:
        """One round; whether there may be more to do at once. Raises Unavailable."""
        due = await self._marks.older(self._clock() - self._older_ms, ROUND)
        for one in due:
            try:
                # Where the log was told a moment ago, there is somebody who tells it.
                later = bool(await self._telling.tell(one))
            except StorageError as error:
                _logger.warning("log_not_told", kind=one.kind.value, conversation=one.conversation, reason=str(error))
                later = True
            if later:
                await self._marks.put_off(one, self._clock())
        return bool(due)
