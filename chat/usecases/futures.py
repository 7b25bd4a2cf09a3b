"""Answers that are still being made."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from chat.usecases.failures import client_error
from storage.errors import StorageError

T = TypeVar("T")
U = TypeVar("U")


def mapped(future: "asyncio.Future[T]", function: Callable[[T], U]) -> "asyncio.Future[U]":
    """The future of `function(result)`. Storage errors come out as client errors.

    Cheaper than a task. Cancelling the answer does not cancel what it is made of.
    """
    answer: asyncio.Future[U] = asyncio.get_running_loop().create_future()

    def done(source: "asyncio.Future[T]") -> None:
        if source.cancelled():
            answer.cancel()
        elif (error := source.exception()) is not None:
            fail(answer, error)
        else:
            conclude(answer, source.result(), function)

    future.add_done_callback(done)
    return answer


def conclude(answer: "asyncio.Future[U]", outcome: T | Exception, function: Callable[[T], U]) -> None:
    """Finish `answer` with `function(outcome)`, or with the exception that the outcome is."""
    if isinstance(outcome, Exception):
        fail(answer, outcome)
    elif not answer.done():
        try:
            answer.set_result(function(outcome))
        except Exception as error:  # noqa: BLE001 - raised where the answer is waited for
            answer.set_exception(error)


def fail(answer: "asyncio.Future[U]", error: BaseException) -> None:
    """Finish `answer` with an exception; what storage raised is put into a client's words."""
    if not answer.done():
        answer.set_exception(client_error(error) if isinstance(error, StorageError) else error)
