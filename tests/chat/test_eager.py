"""Coroutines that run as far as they go without waiting."""

import asyncio

import pytest

from chat.eager import Begun
from support.waiting import eventually


async def test_what_does_not_wait_has_ended_at_once():
    async def sum_of(one: int, other: int) -> int:
        return one + other

    begun = Begun(sum_of(1, 2))

    assert begun.ended
    assert begun.result == 3


async def test_what_waits_goes_on_where_it_was():
    seen: list[str] = []
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))

    async def talk() -> str:
        seen.append("begun")
        seen.append(await first)
        seen.append(await second)
        return "done"

    begun = Begun(talk())
    assert (begun.ended, seen) == (False, ["begun"])

    going_on = asyncio.ensure_future(_awaited(begun))
    first.set_result("one")
    await eventually(lambda: "one" in seen)
    second.set_result("two")

    assert await going_on == "done"
    assert seen == ["begun", "one", "two"]


async def test_what_it_raises_is_raised_where_it_happens():
    waited_for = asyncio.get_running_loop().create_future()

    async def fail(*, late: bool) -> None:
        if late:
            await waited_for
        raise LookupError

    with pytest.raises(LookupError):
        Begun(fail(late=False))

    begun = Begun(fail(late=True))
    waited_for.set_result(None)
    with pytest.raises(LookupError):
        await begun.rest()


async def test_a_time_out_around_the_rest_reaches_what_is_waited_for_and_may_be_answered():
    never = asyncio.get_running_loop().create_future()
    cleaned: list[str] = []

    async def wait() -> None:
        try:
            await never
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    begun = Begun(wait())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await begun.rest()

    assert never.cancelled()
    assert cleaned == ["up"]


async def _awaited(begun: Begun[str]) -> str:
    return await begun.rest()
