"""A lease has one holder at a time, and who slept through it changes nothing any more."""

import asyncio

import pytest
from pymongo.monitoring import CommandStartedEvent

from storage.mongo.client import Database, connect
from storage.mongo.lease import Lease, LeaseLost
from support.appending import Commands
from support.waiting import eventually


def lease(db: Database, owner: str, *, ttl_ms: int = 60_000) -> Lease:
    return Lease(db, "test", owner=owner, ttl_ms=ttl_ms)


async def test_one_of_many_gets_it(db: Database) -> None:
    held = await asyncio.gather(*(lease(db, f"owner{i}").acquire() for i in range(8)))
    assert sum(one is not None for one in held) == 1


async def test_who_has_it_gets_it_again_under_the_same_fence(db: Database) -> None:
    mine = lease(db, "ada")
    assert (await mine.acquire()) == (await mine.acquire())


async def test_what_was_saved_is_there_for_the_next_holder(db: Database) -> None:
    ada, bob = lease(db, "ada"), lease(db, "bob")
    held = await ada.acquire()
    assert held is not None
    await ada.save(held.fence, {"_data": "82$a"})
    assert await bob.acquire() is None
    await ada.release(held.fence)
    next_held = await bob.acquire()
    assert next_held is not None
    assert next_held.state == {"_data": "82$a"}
    assert next_held.fence == held.fence + 1


async def test_who_slept_through_it_has_lost_it(db: Database) -> None:
    ada, bob = lease(db, "ada", ttl_ms=1), lease(db, "bob")
    held = await ada.acquire()
    assert held is not None
    await eventually(bob.acquire)
    for late in (ada.renew(held.fence), ada.save(held.fence, "late")):
        with pytest.raises(LeaseLost):
            await late
    await ada.release(held.fence)
    assert await ada.acquire() is None


async def test_who_is_cancelled_while_asking_keeps_nobody_else_from_it(
    mongodb_url: str, database_name: str, db: Database
) -> None:
    loop = asyncio.get_running_loop()
    asking: asyncio.Task[object]

    class Cancelling(Commands):
        def started(self, event: CommandStartedEvent) -> None:
            if event.command_name == "findAndModify":
                loop.call_soon_threadsafe(asking.cancel)

    async with connect(mongodb_url, database_name, listeners=[Cancelling()]) as own:
        asking = asyncio.create_task(lease(own, "ada").acquire())
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await lease(db, "bob").acquire() is not None
