"""Work in rounds: one process at a time does it, what fails has its next round, who ends lets the next one."""

import pytest

from storage.errors import StorageError
from storage.mongo.client import Database
from storage.mongo.lease import Lease
from storage.mongo.rounds import LEASE_TTL_MS, Rounds, Work
from support.waiting import eventually


class Counted:
    """A work that counts its rounds. `more` rounds follow at once; `failures` rounds fail."""

    def __init__(self, *, more: int = 0, failures: list[Exception] | None = None) -> None:
        self.done = 0
        self._more = more
        self._failures = failures or []

    async def once(self) -> bool:
        if self._failures:
            raise self._failures.pop()
        self.done += 1
        return self.done <= self._more


async def test_a_round_after_which_there_is_more_is_followed_by_the_next_at_once(db: Database) -> None:
    counted = Counted(more=5)
    async with Rounds(db, "x", [Work("w", 600, counted.once)], owner="one"):
        await eventually(lambda: counted.done == 6)


@pytest.mark.parametrize("failure", [StorageError("away"), ValueError("a fault")])
async def test_what_fails_has_its_next_round(db: Database, failure: Exception) -> None:
    counted = Counted(failures=[failure])
    async with Rounds(db, "x", [Work("w", 0.01, counted.once)], owner="one"):
        await eventually(lambda: counted.done)


async def test_one_works_and_the_next_as_soon_as_that_one_has_ended(db: Database) -> None:
    first, second = Counted(), Counted()
    async with Rounds(db, "x", [Work("w", 0.01, second.once)], owner="two"):
        await eventually(lambda: second.done)
        async with Rounds(db, "x", [Work("w", 0.01, first.once)], owner="one"):
            rounds = second.done
            await eventually(lambda: second.done > rounds + 3)
    assert first.done == 0
    assert await Lease(db, "x", owner="three", ttl_ms=LEASE_TTL_MS).acquire() is not None
