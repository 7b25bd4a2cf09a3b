"""Waiting for conditions instead of sleeping."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.01

PATIENCE_S = 30.0
"""How long tests wait for what comes at once on a quiet machine. A bound costs nothing when things go well."""


async def eventually(predicate: Callable[[], T | Awaitable[T]], *, within_s: float = PATIENCE_S) -> T:
    """Wait until `predicate()` (plain or async) is true and return what it returned; fail after `within_s` seconds.

    An AssertionError inside it counts as "not yet", and is the failure's cause, so a predicate may assert as well.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        last: object = None
        try:
            answer = predicate()
            value: T = await answer if inspect.isawaitable(answer) else answer
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if loop.time() >= deadline:
            name = getattr(predicate, "__qualname__", repr(predicate))
            cause = last if isinstance(last, AssertionError) else None
            raise AssertionError(f"{name} was not true within {within_s:g} s; last: {last!r}") from cause
        await asyncio.sleep(_POLL_S)
