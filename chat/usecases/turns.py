"""Messages that are to be decided anew, because their sender's standing may have changed before they had their place.

Each sender's come again in the order in which they were first asked for, and what the sender asks for meanwhile comes
after them: a look-up takes its time, and nothing may overtake what waits for one.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

from chat.usecases.access import Standing
from chat.vocabulary.messages import MessageSent
from realtime.protocol.codes import ClientError
from storage.model import NewEntry

Sender: TypeAlias = tuple[str, str]
"""(user, conversation)"""


@dataclass(slots=True, order=True)
class Sending:
    """A message on its way. Ordered by when it was asked for. `attempts`: how often it may still be decided."""

    number: int
    new: NewEntry = field(compare=False)
    answer: "asyncio.Future[MessageSent]" = field(compare=False)
    attempts: int = field(compare=False)

    @property
    def sender(self) -> Sender:
        return self.new.by, self.new.conversation

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Turns:
    """The senders who wait for a look-up, and their messages. Owns a task for each of these senders.

    Bounds: each task lives as long as one look-up and ends by itself; what waits is bounded by the commands that
    connections may have in flight.
    """

    def __init__(
        self,
        decide: Callable[[str, str], Coroutine[Any, Any, Standing]],
        append: Callable[[Sending, Standing], None],
    ) -> None:
        """`decide(user, conversation)` raises ClientError, as does `append` for what is known at once."""
        self._decide = decide
        self._append = append
        self._lines: dict[Sender, list[Sending]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = count()

    def next_number(self) -> int:
        return next(self._numbers)

    def waits(self, sender: Sender) -> bool:
        """Whether the sender's next message has to wait in line."""
        return sender in self._lines

    def put(self, sending: Sending) -> None:
        """Have it decided anew. To be called before the sender can ask for anything else."""
        line = self._lines.get(sending.sender)
        if line is None:
            line = self._lines[sending.sender] = []
            task = asyncio.get_running_loop().create_task(self._serve(sending.sender, line), name="decide-again")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        heapq.heappush(line, sending)

    async def _serve(self, sender: Sender, line: list[Sending]) -> None:
        try:
            while line:
                try:
                    standing = await self._decide(*sender)
                except ClientError as error:
                    _fail(line, error)
                    return
                while line:
                    sending = heapq.heappop(line)
                    try:
                        self._append(sending, standing)
                    except ClientError as error:
                        sending.fail(error)
        finally:
            del self._lines[sender]
            _fail(line, ConnectionAbortedError("the process is going down"))


def _fail(line: list[Sending], error: Exception) -> None:
    while line:
        heapq.heappop(line).fail(error)
