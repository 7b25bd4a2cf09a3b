"""Telling of comings and goings: in turns, at a pace, and again where it failed."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from chat.backend import comings
from chat.backend.comings import BATCH, Comings, open_comings
from realtime.redis.users import Left
from support.waiting import eventually


class Told:
    """In place of the use case: writes down of whom it was to tell."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.left: dict[str, int] = {}
        self.batches: list[int] = []
        self.failing = False
        self.failed = 0
        self.each = 0

    async def announce(self, came: Collection[str], left: Mapping[str, int]) -> int:
        if self.failing:
            self.failed += 1
            raise ConnectionError("away")
        self.came += came
        self.left |= left
        self.batches.append(len(came) + len(left))
        return self.each * (len(came) + len(left))


class Everywhere:
    """In place of Redis."""

    def __init__(self) -> None:
        self.listener: Callable[[Sequence[str]], None] = lambda _users: None
        self.gone: list[Left] = []
        self.told_of: list[str] = []

    def on_came(self, listener: Callable[[Sequence[str]], None]) -> None:
        self.listener = listener

    async def left(self, limit: int) -> Sequence[Left]:
        taken, self.gone = self.gone[:limit], self.gone[limit:]
        return taken

    async def told(self, users: Sequence[str]) -> None:
        self.told_of += users


@asynccontextmanager
async def telling(told: Told, everywhere: Everywhere):
    monotonic = asyncio.get_running_loop().time
    async with open_comings(told, everywhere, monotonic):  # type: ignore[arg-type]  # only announces
        yield


async def test_all_are_told_of_in_batches() -> None:
    told, everywhere = Told(), Everywhere()
    users = [f"u{number}" for number in range(2 * BATCH + 1)]
    async with telling(told, everywhere):
        everywhere.listener(users)
        everywhere.gone = [Left(f"g{number}", number) for number in range(BATCH + 1)]
        await eventually(lambda: told.came == users)
        await eventually(lambda: len(everywhere.told_of) == BATCH + 1)
    assert told.left == {f"g{number}": number for number in range(BATCH + 1)}
    assert max(told.batches) == BATCH


async def test_what_fails_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comings, "ASK_EVERY_S", 0.05)
    told, everywhere = Told(), Everywhere()
    told.failing = True
    async with telling(told, everywhere):
        everywhere.listener(["ann", "bob"])
        await eventually(lambda: told.failed)
        assert told.came == []
        told.failing = False
        await eventually(lambda: sorted(told.came) == ["ann", "bob"])


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comings, "MAX_WAITING", 3)
    everywhere = Everywhere()
    waiting = Comings(Told(), everywhere, lambda: 0.0)  # type: ignore[arg-type]  # not asked
    everywhere.listener(["a", "b", "c", "d"])
    assert list(waiting._came) == ["b", "c", "d"]


async def test_while_the_process_is_busy_it_tells_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comings, "BUSY_EVENTS_PER_S", 0.001)
    told, everywhere, busy = Told(), Everywhere(), [True]
    told.each = 1
    telling_slowly = Comings(told, everywhere, asyncio.get_running_loop().time, lambda: busy[0])  # type: ignore[arg-type]  # only announces
    everywhere.listener([f"u{number}" for number in range(3 * BATCH)])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await telling_slowly._tell_came()
    assert len(told.came) == BATCH
    busy[0] = False
    async with asyncio.timeout(30):
        await telling_slowly._tell_came()
    assert len(told.came) == 2 * BATCH
