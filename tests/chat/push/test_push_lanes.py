"""Places in a lane that leads to several origins: half of it for each, in turn, and nobody waits in another's way."""

import asyncio
from contextlib import AsyncExitStack

from chat.push.breaker import BreakerSettings
from chat.push.lanes import LaneRuntime
from chat.push.sending import Address, Provider
from support.waiting import eventually

NOW = 1_000


def a_lane(limit: int = 4) -> LaneRuntime:
    return LaneRuntime("webpush|production|app", limit, lambda: 0.5, BreakerSettings())


def at(origin: str) -> Address:
    return Address("device", Provider.WEBPUSH, "app", "subscription", f"https://{origin}/one")


async def occupied(lane: LaneRuntime, stack: AsyncExitStack, origin: str, count: int) -> None:
    for _ in range(count):
        lane.running += 1
        assert await stack.enter_async_context(lane.place(at(origin), 0.0))


async def test_an_origin_has_half_the_room_and_who_waits_takes_none_of_it() -> None:
    lane, entered = a_lane(), list[int]()

    async def one(number: int, leave: asyncio.Event) -> None:
        lane.running += 1
        async with lane.place(at("slow.example"), 60.0) as found:
            assert found
            entered.append(number)
            await leave.wait()
        lane.running -= 1

    events = [asyncio.Event() for _ in range(4)]
    tasks = [asyncio.create_task(one(*each)) for each in enumerate(events)]
    await eventually(lambda: lane.waiting == 2)
    assert (entered, lane.running, lane.room(NOW)) == ([0, 1], 2, 2)
    async with AsyncExitStack() as stack:
        await occupied(lane, stack, "other.example", 2)
        lane.running -= 2
    for number, event in enumerate(events):
        event.set()
        await tasks[number]
    assert (entered, lane.running, lane.waiting, lane.room(NOW)) == ([0, 1, 2, 3], 0, 0, 4)


async def test_places_are_handed_over_several_at_once_or_after_a_moment() -> None:
    lane, entered = a_lane(limit=16), list[int]()
    leave = [asyncio.Event() for _ in range(12)]

    async def one(number: int) -> None:
        lane.running += 1
        async with lane.place(at("busy.example"), 60.0):
            entered.append(number)
            await leave[number].wait()
        lane.running -= 1

    tasks = [asyncio.create_task(one(number)) for number in range(12)]
    await eventually(lambda: lane.waiting == 4)
    leave[0].set()
    await tasks[0]
    assert len(entered) == 8
    leave[1].set()
    await eventually(lambda: len(entered) == 10)
    # One that ends alone: its place is handed over a moment later.
    leave[2].set()
    await eventually(lambda: len(entered) == 11)
    for event in leave:
        event.set()
    await asyncio.gather(*tasks)
    assert (sorted(entered), lane.running, lane.waiting) == (list(range(12)), 0, 0)


async def test_nobody_waits_for_longer_or_where_as_many_wait_as_may_run() -> None:
    lane = a_lane()
    async with AsyncExitStack() as stack:
        await occupied(lane, stack, "slow.example", 2)
        async with lane.place(at("slow.example"), 0.0) as found:
            assert not found
        waiting = [asyncio.create_task(stack.enter_async_context(lane.place(at("slow.example"), 60.0))) for _ in "1234"]
        await eventually(lambda: lane.waiting == 4)
        assert lane.room(NOW) == 1
        async with lane.place(at("slow.example"), 60.0) as found:
            assert not found
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert lane.waiting == 0
    async with lane.place(at("slow.example"), 0.0) as found:
        assert found


async def test_an_address_that_is_no_url_needs_no_place() -> None:
    lane = a_lane(limit=1)
    token = Address("device", Provider.APNS, "app", "token", "abc")
    async with lane.place(token, 0.0) as one, lane.place(token, 0.0) as other:
        assert one
        assert other
