"""Calls are answered in time, and given up together when the store goes away."""

import asyncio
import random
import time
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from chat import calls as subject
from chat.calls import Calls
from chat.methods import METHODS
from chat.metrics.methods import MethodStats
from chat.shedding import Shedding
from realtime.protocol import codes
from realtime.protocol.codes import ClientError


class Store:
    """Away or not, and the calls that depend on it."""

    def __init__(self) -> None:
        self.available = True
        self.calls = Calls(
            cast("Any", None),  # no method is run here
            MethodStats(CollectorRegistry(), tuple(METHODS)),
            Shedding(random.random),
            time.monotonic,
            lambda: self.available,
        )

    def goes_away(self) -> None:
        self.available = False
        self.calls.store_changed(False)


async def waits(store: Store) -> None:
    async with store.calls.in_time():
        await asyncio.Event().wait()


async def refused(waiting: "asyncio.Task[None]") -> codes.ErrorCode:
    with pytest.raises(ClientError) as raised:
        await waiting
    return raised.value.code


async def test_what_waits_is_given_up_as_soon_as_the_store_is_found_to_be_away() -> None:
    store = Store()
    waiting = [asyncio.create_task(waits(store)) for _ in range(3)]
    await asyncio.sleep(0)
    store.goes_away()
    assert {await refused(one) for one in waiting} == {codes.UNAVAILABLE}
    assert store.calls.waiting_s() == 0.0


async def test_what_is_just_running_out_of_time_does_not_hinder_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer has fired, its task has not run yet: nothing can be changed about it any more."""
    store = Store()
    monkeypatch.setattr(subject, "ANSWER_TIMEOUT_S", 0.01)
    early = asyncio.create_task(waits(store))
    await asyncio.sleep(0)
    monkeypatch.setattr(subject, "ANSWER_TIMEOUT_S", 60.0)
    late = asyncio.create_task(waits(store))
    # Due at the same time: the timer and then this one run in the same turn of the loop, the task after both.
    loop = asyncio.get_running_loop()
    told = loop.create_future()

    def goes_away() -> None:
        try:
            told.set_result(store.goes_away())
        except RuntimeError as error:
            told.set_exception(error)

    await asyncio.sleep(0)
    loop.call_at(next(iter(store.calls.begun)).when() or 0.0, goes_away)
    await told
    assert [await refused(early), await refused(late)] == [codes.UNAVAILABLE, codes.UNAVAILABLE]


async def test_while_the_store_is_away_there_is_time_for_what_is_known_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    store.goes_away()
    monkeypatch.setattr(subject, "AWAY_TIMEOUT_S", 0.01)
    async with store.calls.in_time():
        pass
    assert await refused(asyncio.create_task(waits(store))) is codes.UNAVAILABLE


async def test_the_longest_wait_is_told() -> None:
    store = Store()
    waiting = [asyncio.create_task(waits(store)) for _ in range(2)]
    await asyncio.sleep(0)
    first = store.calls.waiting_s()
    assert first > 0.0
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert store.calls.waiting_s() > 0.0
    waiting[1].cancel()
    await asyncio.wait(waiting[1:])
    assert store.calls.waiting_s() == 0.0


async def test_what_was_waited_before_is_part_of_the_time_and_leaves_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "ANSWER_TIMEOUT_S", 600.0)
    monkeypatch.setattr(subject, "AWAY_TIMEOUT_S", 0.01)
    store = Store()

    async def waits_after(waited_s: float) -> None:
        async with store.calls.in_time(waited_s):
            await asyncio.Event().wait()

    early = asyncio.create_task(waits_after(0.0))
    assert await refused(asyncio.create_task(waits_after(10_000.0))) is codes.UNAVAILABLE
    assert not early.done()
    store.goes_away()
    assert await refused(early) is codes.UNAVAILABLE
