"""How far logs reach, for many who ask at once: after a restart everybody does, of the same conversations."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from storage.model import Position
from storage.mongo.gather import Gather
from storage.mongo.log import Log

REMEMBERED: Final = 20_000
BATCH: Final = 100
WAITING: Final = 100_000


class Tails:
    """An async context manager: what is asked for together is read by one command, and remembered.

    A tail only grows, so what was read once stays a true lower bound. Bound: the `REMEMBERED` that were used last.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: OrderedDict[str, Position] = OrderedDict()
        self._asking: Gather[str, Position] = Gather(self._read, batch=BATCH, limit=WAITING, at_once=2, shared=True)

    async def __aenter__(self) -> Self:
        await self._asking.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._asking.__aexit__(kind, error, traceback)

    async def reaching(self, wanted: Mapping[str, int]) -> dict[str, Position]:
        """For each conversation a position up to which its log is committed: at or beyond the offset that is wanted,
        unless the log ends before it. One command for a hundred of them. Raises Unavailable, Overloaded.
        """
        found: dict[str, Position] = {}
        unknown = []
        for conversation, offset in wanted.items():
            known = self._known.get(conversation)
            if known is not None and known.offset >= offset:
                self._known.move_to_end(conversation)
                found[conversation] = known
            else:
                unknown.append(conversation)
        if unknown:
            found.update(zip(unknown, await self._asking.ask_all(unknown), strict=True))
        return found

    async def _read(self, conversations: Sequence[str]) -> list[Position]:
        tails = await self._log.tails(conversations)
        for conversation, tail in tails.items():
            self._known[conversation] = max(tail, self._known.get(conversation, tail))
            self._known.move_to_end(conversation)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return [tails[conversation] for conversation in conversations]
