"""Doing what is asked again and again about one thing at most so often."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import structlog

from realtime.protocol import codes
from realtime.protocol.codes import ClientError

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")

INTERVAL_S: Final = 1.0
MAX_WAITING: Final = 20_000


@dataclass(slots=True)
class _Thing(Generic[T, R]):
    """What is asked about one key, while it is being done or rests. `item` gathers what waits for the next time."""

    item: T | None = None
    answers: "list[asyncio.Future[R]]" = field(default_factory=list)


class Pace(Generic[T, R]):
    """Does the first of what is asked about a key at once, and what follows together, `interval_s` after it was done.

    Everybody is answered when theirs is done. An async context manager that owns its tasks: at its end what waits is
    done at once. Bound: `limit` answers that are waited for, and as many keys; beyond, what is asked is refused as too
    much.
    """

    def __init__(
        self,
        work: Callable[[T], Awaitable[R]],
        merge: Callable[[T, T], T],
        *,
        interval_s: float = INTERVAL_S,
        limit: int = MAX_WAITING,
    ) -> None:
        """`work` does one item and raises ClientError; `merge` makes one of an earlier and a later one."""
        self._work = work
        self._merge = merge
        self._interval_s = interval_s
        self._limit = limit
        self._things: dict[str, _Thing[T, R]] = {}
        self._resting: deque[tuple[float, str]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._closing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        while self._resting:
            self._go_on(self._resting.popleft()[1])
        while self._tasks:
            await asyncio.wait(self._tasks)

    def ask(self, key: str, item: T) -> "asyncio.Future[R]":
        """Have the item done. Cancelling the answer does not take it back. Raises ClientError."""
        if self._closing:
            raise ClientError(codes.UNAVAILABLE, "the process is going down; the same request may be repeated")
        thing = self._things.get(key)
        if self._waiting >= self._limit or (thing is None and len(self._things) >= self._limit):
            raise ClientError(codes.TOO_MANY_REQUESTS, "more is waiting than may wait", retry_after_ms=1000)
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting += 1
        if thing is None:
            self._things[key] = _Thing(item, [answer])
            self._start(key)
        else:
            thing.item = item if thing.item is None else self._merge(thing.item, item)
            thing.answers.append(answer)
        return answer

    def _start(self, key: str) -> None:
        task = asyncio.get_running_loop().create_task(self._do(key), name="paced")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, key: str) -> None:
        thing = self._things[key]
        item, answers = thing.item, thing.answers
        thing.item, thing.answers = None, []
        if item is not None:
            try:
                result = await self._work(item)
            except ClientError as error:
                _fail(answers, error)
            except Exception:
                log.exception("paced_work_failed")
                _fail(answers, ClientError(codes.INTERNAL, "try again"))
            else:
                for answer in answers:
                    if not answer.done():
                        answer.set_result(result)
            self._waiting -= len(answers)
        if self._closing:
            self._go_on(key)
        else:
            self._rest(key)

    def _rest(self, key: str) -> None:
        """All rest equally long, so that they are done resting in the order in which they began."""
        loop = asyncio.get_running_loop()
        self._resting.append((loop.time() + self._interval_s, key))
        if self._timer is None:
            self._timer = loop.call_at(self._resting[0][0], self._rested)

    def _rested(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._resting and self._resting[0][0] <= loop.time():
            self._go_on(self._resting.popleft()[1])
        if self._resting:
            self._timer = loop.call_at(self._resting[0][0], self._rested)

    def _go_on(self, key: str) -> None:
        if self._things[key].answers:
            self._start(key)
        else:
            del self._things[key]


def _fail(answers: "list[asyncio.Future[R]]", error: ClientError) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)
