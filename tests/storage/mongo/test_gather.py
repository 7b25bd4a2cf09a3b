"""What is asked for at the same time is done together, and everybody gets an answer."""

import asyncio
from collections.abc import Sequence

import pytest

from storage.errors import NotFound, Overloaded, StorageError, Unavailable
from storage.mongo.gather import Gather


class Work:
    """Doubles numbers, once it is let; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.go.wait()
        if 13 in items:
            raise NotFound("13")
        if 14 in items:
            raise ZeroDivisionError
        return [item * 2 for item in items]


async def test_what_waits_while_a_batch_is_done_becomes_the_next_batch() -> None:
    work = Work()
    async with Gather(work, batch=3, limit=100) as gather:
        assert await asyncio.gather(*(gather.ask(i) for i in range(8))) == [i * 2 for i in range(8)]
    assert work.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_several_batches_may_be_done_at_once() -> None:
    work = Work()
    work.go.clear()
    async with Gather(work, batch=2, limit=100, at_once=2) as gather:
        asked = asyncio.gather(*(gather.ask(i) for i in range(6)))
        while len(work.batches) < 2:
            await asyncio.sleep(0)
        assert work.batches == [[0, 1], [2, 3]]
        work.go.set()
        assert await asked == [0, 2, 4, 6, 8, 10]


async def test_too_many_are_refused() -> None:
    work = Work()
    work.go.clear()
    async with Gather(work, batch=1, limit=2) as gather:
        asked = [asyncio.create_task(gather.ask(0))]
        while not work.batches:
            await asyncio.sleep(0)
        asked += [asyncio.create_task(gather.ask(i)) for i in (1, 2, 3)]
        refused = asked.pop()
        with pytest.raises(Overloaded):
            await refused
        work.go.set()
        assert await asyncio.gather(*asked) == [0, 2, 4]


async def test_a_failure_is_told_to_everybody_in_its_batch_and_to_nobody_else() -> None:
    async with Gather(Work(), batch=2, limit=100) as gather:
        first = await asyncio.gather(gather.ask(13), gather.ask(1), gather.ask(2), return_exceptions=True)
        bug = await asyncio.gather(gather.ask(14), return_exceptions=True)
        assert await gather.ask(3) == 6
    assert [type(one) for one in first] == [NotFound, NotFound, int]
    assert [type(one) for one in bug] == [StorageError]


async def test_who_stops_waiting_takes_nothing_away_from_others() -> None:
    work = Work()
    work.go.clear()
    async with Gather(work, batch=2, limit=100) as gather:
        leaving, staying = asyncio.create_task(gather.ask(1)), asyncio.create_task(gather.ask(2))
        while not work.batches:
            await asyncio.sleep(0)
        leaving.cancel()
        work.go.set()
        assert await staying == 4


async def test_leaving_does_what_was_asked_for_and_refuses_the_rest() -> None:
    async with Gather(Work(), batch=2, limit=100) as gather:
        asked = asyncio.create_task(gather.ask(1))
        await asyncio.sleep(0)
    assert asked.result() == 2
    with pytest.raises(Unavailable):
        await gather.ask(2)


async def test_shared_work_is_done_once_for_equal_items_however_many_ask() -> None:
    work = Work()
    async with Gather(work, batch=2, limit=1000, shared=True) as gather:
        assert await asyncio.gather(*(gather.ask(i % 3) for i in range(300))) == [i % 3 * 2 for i in range(300)]
    assert work.batches == [[0, 1], [2]]


async def test_what_began_before_one_asked_is_never_given_to_one() -> None:
    work = Work()
    work.go.clear()
    async with Gather(work, batch=2, limit=1000, shared=True) as gather:
        before = asyncio.create_task(gather.ask(1))
        while not work.batches:
            await asyncio.sleep(0)
        after = [asyncio.create_task(gather.ask(1)) for _ in range(5)]
        await asyncio.sleep(0)
        work.go.set()
        assert await asyncio.gather(before, *after) == [2] * 6
    assert work.batches == [[1], [1]]


async def test_several_are_asked_for_at_once_or_not_at_all() -> None:
    work = Work()
    async with Gather(work, batch=10, limit=3, shared=True) as gather:
        assert await gather.ask_all([3, 1, 3]) == [6, 2, 6]
        with pytest.raises(Overloaded):
            await gather.ask_all([1, 2, 3, 4])
    with pytest.raises(Unavailable):
        await gather.ask_all([1])
