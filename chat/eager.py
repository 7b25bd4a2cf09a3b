"""Running a coroutine as far as it goes without waiting: most calls end there, and need nothing that bounds a wait."""

from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """A coroutine that has run up to where it waits for the first time, or to its end.

    Whatever it raised until then is raised by making this. One that waits must be awaited (`rest`): in the same task,
    and before anything else is awaited there.
    """

    __slots__ = ("_coroutine", "_waits_for", "ended", "result")

    result: T
    """What it came to, once it has `ended`."""

    def __init__(self, running: Coroutine[Any, Any, T]) -> None:
        self._coroutine = running
        self._waits_for: object = None
        self.ended = False
        try:
            self._waits_for = running.send(None)
        except StopIteration as end:
            self.ended = True
            self.result = end.value

    @coroutine
    def rest(self) -> Generator[Any, Any, T]:
        """Go on to the end; returns the result. Cancelling cancels what it waits for, as ever."""
        waits_for = self._waits_for
        while True:
            try:
                got = yield waits_for
                go_on = partial(self._coroutine.send, got)
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - thrown in, as a cancellation is: it is the coroutine's to see
                go_on = partial(self._coroutine.throw, error)
            try:
                waits_for = go_on()
            except StopIteration as end:
                self.ended = True
                self.result = end.value
                return self.result
