"""Answers that are made of others."""

import asyncio

import pytest

from chat.usecases.futures import mapped
from realtime.protocol.codes import TOO_MANY_REQUESTS, UNAVAILABLE, ClientError
from storage.errors import Overloaded, StorageError, Unavailable


async def promise() -> "asyncio.Future[int]":
    return asyncio.get_running_loop().create_future()


async def test_a_result_is_what_the_function_makes_of_it():
    source = await promise()
    answer = mapped(source, lambda number: number * 2)
    source.set_result(21)
    assert await answer == 42


@pytest.mark.parametrize(("error", "code"), [(Unavailable("x"), UNAVAILABLE), (Overloaded("x"), TOO_MANY_REQUESTS)])
async def test_what_storage_raises_is_told_as_clients_know_it(error: StorageError, code):
    source = await promise()
    answer = mapped(source, str)
    source.set_exception(error)
    with pytest.raises(ClientError) as told:
        await answer
    assert told.value.code is code
    assert "x" not in told.value.message.split()


async def test_any_other_error_stays_what_it_is():
    source = await promise()
    answer = mapped(source, str)
    source.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await answer


async def test_a_function_that_fails_fails_the_answer():
    source = await promise()
    answer = mapped(source, lambda number: 1 // number)
    source.set_result(0)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(30):
            await answer


async def test_giving_up_the_answer_leaves_its_source_alone():
    source = await promise()
    answer = mapped(source, str)
    answer.cancel()
    source.set_result(1)
    await asyncio.sleep(0)
    assert answer.cancelled()
    assert source.result() == 1


async def test_an_error_that_nobody_waits_for_any_more_is_not_reported():
    source = await promise()
    answer = mapped(source, str)
    answer.cancel()
    source.set_exception(Unavailable("x"))
    await asyncio.sleep(0)
    assert source.exception() is not None


async def test_a_source_that_is_given_up_gives_the_answer_up():
    source = await promise()
    answer = mapped(source, str)
    source.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
