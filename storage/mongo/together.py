"""Asking together what is asked for at the same time, for those who do many things side by side."""

import copy
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import structlog

from storage.errors import StorageError
from storage.mongo.gather import Gather

T = TypeVar("T")
R = TypeVar("R")

WAITING: Final = 100_000
AT_ONCE: Final = 2
"""While one question is on its way, what is asked meanwhile becomes the next one."""

_PASSED_ON: Final = (StorageError, ConnectionError, TimeoutError)

log = structlog.get_logger(__name__)


class Together(Generic[T, R]):
    """A `Gather` while it is entered; before and after, each is asked for by itself.

    What was wrong with the servers is everybody's. A fault of ours, such as a row that cannot be read, is of the one
    that has it: then each is done again by itself.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        batch: int = 64,
        at_once: int = AT_ONCE,
        shared: bool = True,
    ) -> None:
        """As for `Gather`. `work` may raise StorageError, ConnectionError and TimeoutError for all of them."""
        self._work = work
        self._gather: Gather[T, R | _Failed] = Gather(
            self._tried, batch=batch, limit=WAITING, at_once=at_once, shared=shared
        )
        self._entered = False

    async def __aenter__(self) -> Self:
        await self._gather.__aenter__()
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entered = False
        await self._gather.__aexit__(kind, error, traceback)

    async def ask(self, item: T) -> R:
        """The result of one. Cancelling does not take it back. Raises Overloaded, and what `work` does."""
        if not self._entered:
            return (await self._work([item]))[0]
        return _result(await self._gather.ask(item))

    async def ask_all(self, items: Sequence[T]) -> Sequence[R]:
        """The same for several: their results in order."""
        if not self._entered:
            return await self._work(items) if items else ()
        return [_result(found) for found in await self._gather.ask_all(items)]

    async def _tried(self, items: Sequence[T]) -> Sequence["R | _Failed"]:
        try:
            return await self._work(items)
        except StorageError:
            raise
        except _PASSED_ON as error:
            return [_Failed(error)] * len(items)
        except Exception as error:
            log.exception("together_failed", items=len(items))
            if len(items) == 1:
                return [_Failed(error)]
            return [found for item in items for found in await self._tried([item])]


class _Failed:
    def __init__(self, error: Exception) -> None:
        self.error = error


def _result(found: "R | _Failed") -> R:
    if isinstance(found, _Failed):
        raise copy.copy(found.error)
    return found


OfUsers = Callable[[Collection[str]], Awaitable[Mapping[str, R]]]


class UsersTogether(Generic[R]):
    """Something that can be asked for several users at once, for those who ask for one or some at the same time."""

    def __init__(self, of_users: OfUsers[R], *, batch: int = 256) -> None:
        """`of_users` has an answer for every user."""
        self._of_users = of_users
        self._together: Together[str, R] = Together(self._read, batch=batch)

    async def __aenter__(self) -> Self:
        await self._together.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._together.__aexit__(kind, error, traceback)

    async def of_users(self, users: Collection[str]) -> dict[str, R]:
        """Of each of them."""
        distinct = list(dict.fromkeys(users))
        return dict(zip(distinct, await self._together.ask_all(distinct), strict=True))

    async def _read(self, users: Sequence[str]) -> list[R]:
        found = await self._of_users(users)
        return [found[user] for user in users]
