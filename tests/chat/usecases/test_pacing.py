"""What is asked again and again about one thing is done at once, then together, at most so often."""

import asyncio

import pytest

from chat.usecases.pacing import Pace
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from support.waiting import eventually

INTERVAL_S = 0.05


class Work:
    """Remembers what was done and when; the result is how often it was."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.times: list[float] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(self, item: str) -> int:
        self.times.append(asyncio.get_running_loop().time())
        self.done.append(item)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return len(self.done)


def paced(work: Work, limit: int = 100) -> Pace[str, int]:
    return Pace(work, lambda one, two: one + two, interval_s=INTERVAL_S, limit=limit)


async def test_the_first_is_done_at_once_and_the_rest_together_later():
    work = Work()
    async with paced(work) as pace:
        first = pace.ask("x", "a")
        assert await first == 1
        rest = [pace.ask("x", letter) for letter in "bcd"]
        other = pace.ask("y", "z")
        assert await other == 2
        assert await asyncio.gather(*rest) == [3, 3, 3]
    assert work.done == ["a", "z", "bcd"]
    assert work.times[2] - work.times[0] >= INTERVAL_S


async def test_what_comes_while_it_is_being_done_waits_for_the_next_time():
    work = Work()
    work.gate = asyncio.Event()
    async with paced(work) as pace:
        first = pace.ask("x", "a")
        await eventually(lambda: work.done)
        second = pace.ask("x", "b")
        await asyncio.sleep(2 * INTERVAL_S)
        assert work.done == ["a"]
        work.gate.set()
        assert [await first, await second] == [1, 2]
    assert work.times[1] - work.times[0] >= 3 * INTERVAL_S


async def test_after_a_rest_it_is_done_at_once_again_and_nothing_is_remembered():
    work = Work()
    async with paced(work) as pace:
        await pace.ask("x", "a")
        await eventually(lambda: not pace._things)
        begun = asyncio.get_running_loop().time()
        await pace.ask("x", "b")
        assert work.times[-1] - begun < INTERVAL_S
    assert pace._waiting == 0


async def test_at_the_end_what_waits_is_done_at_once_and_nothing_more_is_taken():
    work = Work()
    async with Pace(work, lambda one, two: one + two, interval_s=3600) as pace:
        await pace.ask("x", "a")
        waiting = [pace.ask("x", "b"), pace.ask("x", "c")]
    assert [answer.result() for answer in waiting] == [2, 2]
    assert work.done == ["a", "bc"]
    with pytest.raises(ClientError) as refused:
        pace.ask("x", "d")
    assert refused.value.code is codes.UNAVAILABLE


async def test_everybody_hears_of_a_failure_and_the_next_is_tried():
    work = Work()
    work.error = ClientError(codes.UNAVAILABLE, "away")
    async with paced(work) as pace:
        assert isinstance((await asyncio.gather(pace.ask("x", "a"), return_exceptions=True))[0], ClientError)
        both = [pace.ask("x", "b"), pace.ask("x", "c")]
        assert await asyncio.gather(*both, return_exceptions=True) == [work.error] * 2
        work.error = RuntimeError("a bug")
        refused = (await asyncio.gather(pace.ask("x", "d"), return_exceptions=True))[0]
        assert isinstance(refused, ClientError)
        assert refused.code is codes.INTERNAL
        work.error = None
        assert await pace.ask("x", "e") == 4


@pytest.mark.parametrize("key", ["x", "y"])
async def test_no_more_may_wait_than_the_limit(key):
    work = Work()
    work.gate = asyncio.Event()
    async with paced(work, limit=2) as pace:
        answers = [pace.ask("x", "a"), pace.ask("x", "b")]
        with pytest.raises(ClientError) as refused:
            pace.ask(key, "c")
        assert refused.value.code is codes.TOO_MANY_REQUESTS
        work.gate.set()
        await asyncio.gather(*answers)
        assert await pace.ask("x", "d") == 2
    assert work.done == ["ab", "d"]


async def test_no_more_things_are_remembered_than_the_limit():
    async with paced(Work(), limit=2) as pace:
        await asyncio.gather(pace.ask("x", "a"), pace.ask("y", "b"))
        with pytest.raises(ClientError):
            pace.ask("z", "c")
        await eventually(lambda: not pace._things)
        await pace.ask("z", "c")


async def test_who_stops_waiting_does_not_take_it_back():
    work = Work()
    async with paced(work) as pace:
        await pace.ask("x", "a")
        gone, stays = pace.ask("x", "b"), pace.ask("x", "c")
        gone.cancel()
        assert await stays == 2
    assert work.done == ["a", "bc"]
    assert pace._waiting == 0
