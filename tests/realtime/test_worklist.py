"""The worklist: everything once, in order, nothing lost."""

import asyncio

from realtime.worklist import Worklist


async def test_items_come_once_and_in_order():
    worklist: Worklist[str] = Worklist()
    for item in "abcab":
        worklist.put(item)
    assert await worklist.take() == ["a", "b", "c"]
    assert len(worklist) == 0


async def test_taking_waits_until_there_is_something():
    worklist: Worklist[str] = Worklist()
    taking = asyncio.create_task(worklist.take())
    await asyncio.sleep(0)
    assert not taking.done()
    worklist.put("a")
    assert await taking == ["a"]


async def test_a_taker_that_is_cancelled_loses_nothing():
    worklist: Worklist[str] = Worklist()
    taking = asyncio.create_task(worklist.take())
    await asyncio.sleep(0)
    worklist.put("a")
    taking.cancel()
    await asyncio.wait({taking})
    worklist.put("b")
    assert await worklist.take() == ["a", "b"]


async def test_an_item_put_after_a_take_comes_again():
    worklist: Worklist[str] = Worklist()
    worklist.put("a")
    await worklist.take()
    worklist.put("a")
    assert await worklist.take() == ["a"]
