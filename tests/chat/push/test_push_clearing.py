"""Reads are remembered, together and within bounds, until MongoDB has them."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from chat.push.clearing import Clearing, open_clearing
from chat.push.ports import lane_name, lane_of
from storage.errors import StorageError
from storage.model import Conversation
from storage.model.device import Device
from storage.model.push import Doubt
from storage.mongo.client import Database, connect
from storage.mongo.push_jobs import PushJobs
from storage.store import Store
from support.conversing import a_group
from support.fail_points import failing
from support.pushing import Pushing
from support.waiting import eventually

CLIENT = "hub-with-reads"
SHUTTING_DOWN = 91


@pytest.fixture
async def jobs(mongodb_url: str, db: Database) -> AsyncIterator[PushJobs]:
    """Over connections of their own, which can fail."""
    async with connect(mongodb_url, db.name, app_name=CLIENT) as own:
        yield PushJobs(own)


@pytest.fixture
async def phone(push: Pushing) -> Device:
    return await push.device()


async def shown(push: Pushing, store: Store, phone: Device) -> Conversation:
    """A conversation that is on the phone's screen up to offset 5."""
    group = await a_group(store)
    doubt = Doubt(phone.id, "ada", group.id, lane_name(lane_of(phone)), 5, 5, push.now(), push.now() + 60_000)
    await push.jobs.put([doubt], now=push.now())
    job = await push.claim(phone)
    await push.jobs.done(job, covered=5, shown=5, now=push.now())
    assert await push.jobs.get(phone.id, group.id) is None
    return group


async def is_due(push: Pushing, phone: Device, group: Conversation) -> bool:
    return await push.jobs.get(phone.id, group.id) is not None


async def test_a_screen_is_looked_at_once_what_it_shows_was_read(
    push: Pushing, store: Store, phone: Device, jobs: PushJobs
) -> None:
    group, other = await shown(push, store, phone), await shown(push, store, phone)
    clearing = Clearing(jobs, clock_ms=push.now)
    clearing.note("ada", group.id, 4)
    clearing.note("bob", other.id, 5)
    await clearing.flush()
    assert not await is_due(push, phone, group)
    assert not await is_due(push, phone, other)
    clearing.note("ada", group.id, 5)
    clearing.note("ada", group.id, 4)
    await clearing.flush()
    assert await is_due(push, phone, group)
    assert not await is_due(push, phone, other)


async def test_reads_wait_while_mongodb_is_away(
    push: Pushing, store: Store, phone: Device, jobs: PushJobs, mongodb_url: str
) -> None:
    group = await shown(push, store, phone)
    clearing = Clearing(jobs, clock_ms=push.now)
    clearing.note("ada", group.id, 5)
    async with failing(mongodb_url, CLIENT, ["update"], errorCode=SHUTTING_DOWN):
        with pytest.raises(StorageError):
            await clearing.flush()
        # An older read that comes meanwhile takes nothing away.
        clearing.note("ada", group.id, 3)
    assert not await is_due(push, phone, group)
    await clearing.flush()
    assert await is_due(push, phone, group)


@pytest.mark.parametrize(("others", "kept"), [(2, True), (3, False)])
async def test_of_more_reads_than_it_may_remember_the_oldest_are_forgotten(
    push: Pushing, store: Store, phone: Device, jobs: PushJobs, others: int, kept: bool
) -> None:
    group = await shown(push, store, phone)
    clearing = Clearing(jobs, clock_ms=push.now, limit=3)
    clearing.note("ada", group.id, 5)
    for number in range(others):
        clearing.note(f"user-{number}", group.id, 5)
    await clearing.flush()
    assert await is_due(push, phone, group) == kept


async def test_it_writes_by_itself_and_what_is_left_when_it_ends(
    push: Pushing, store: Store, phone: Device, jobs: PushJobs
) -> None:
    groups = [await shown(push, store, phone) for _ in range(2)]
    async with open_clearing(jobs, clock_ms=push.now) as clearing:
        clearing.note("ada", groups[0].id, 5)
        await eventually(lambda: is_due(push, phone, groups[0]))
        clearing.note("ada", groups[1].id, 5)
    assert await is_due(push, phone, groups[1])


async def test_it_goes_on_after_an_outage(
    push: Pushing, store: Store, phone: Device, jobs: PushJobs, mongodb_url: str
) -> None:
    group = await shown(push, store, phone)
    with capture_logs() as logs:
        async with open_clearing(jobs, clock_ms=push.now) as clearing:
            async with failing(mongodb_url, CLIENT, ["update"], errorCode=SHUTTING_DOWN):
                clearing.note("ada", group.id, 5)
                await eventually(lambda: logs)
            await eventually(lambda: is_due(push, phone, group))
    assert {(one["event"], one["waiting"]) for one in logs} == {("push_reads_wait", 1)}


async def test_it_ends_in_an_outage_and_says_what_is_lost(
    push: Pushing, store: Store, phone: Device, jobs: PushJobs, mongodb_url: str
) -> None:
    group = await shown(push, store, phone)
    async with failing(mongodb_url, CLIENT, ["update"], errorCode=SHUTTING_DOWN):
        with capture_logs() as logs:
            async with open_clearing(jobs, clock_ms=push.now) as clearing:
                clearing.note("ada", group.id, 5)
    assert logs[-1]["event"] == "push_reads_lost"
    assert not await is_due(push, phone, group)
