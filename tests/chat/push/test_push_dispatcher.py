"""Workers at work: no job twice, no lane that waits for another, and an end in good order."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from chat.push.breaker import BreakerSettings, LaneState
from chat.push.dispatcher import DispatcherSettings
from chat.push.sending import Accepted, CredentialsAtFault, Lane, Push, Sender, Verdict
from storage.mongo.client import Database
from storage.store import Store
from support.conversing import a_group, say
from support.pushing import START, Pushing
from support.waiting import eventually

SOON = DispatcherSettings(concurrency=4, poll_s=0.05)
IMPATIENT = replace(SOON, drain_s=0.2)
APNS, FCM = "apns|production|app", "fcm|production|app"


@dataclass
class Slow:
    """A provider whose answers to some apps never come."""

    push: Pushing
    hanging: set[str] = field(default_factory=set)
    under_way: int = 0
    most: int = 0

    def of(self, lane: Lane) -> Sender:
        return self

    async def send(self, push: Push) -> Verdict:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if push.address.provider in self.hanging:
                await asyncio.Event().wait()
            return await self.push.provider.send(push)
        finally:
            self.under_way -= 1

    async def check(self) -> Verdict:
        return Accepted()


async def jobs_for(push: Pushing, users: int, **device: str) -> list[str]:
    """A message to so many users with a device each, due now; the devices."""
    names = [f"{device.get('provider', 'apns')}{n}" for n in range(users)]
    group = await a_group(push.store, ("bob", *names))
    devices = [await push.device(name, **device) for name in names]
    await say(push.store, group.id, "bob", ["hello"], at=push.now.ms)
    await push.plan(group.id)
    push.now.ms += 1_500
    return [one.id for one in devices]


def rings(push: Pushing, devices: list[str]) -> Callable[[], Awaitable[bool]]:
    async def all_rang() -> bool:
        return all(push.provider.screen(device).rings == 1 for device in devices)

    return all_rang


async def test_several_workers_ring_every_phone_once(push: Pushing) -> None:
    devices = await jobs_for(push, 40)
    async with push.dispatcher(SOON), push.dispatcher(SOON), push.dispatcher(SOON):
        await eventually(rings(push, devices))
    assert len(push.provider.pushes) == 40
    assert await push.jobs.lanes() == []


async def test_a_provider_that_hangs_delays_no_other_lane(push: Pushing) -> None:
    hanging = await jobs_for(push, 10)
    slow = Slow(push, hanging={"apns"})
    async with push.dispatcher(IMPATIENT, senders=slow) as dispatcher:
        await eventually(lambda: slow.under_way == 4)
        devices = await jobs_for(push, 10, provider="fcm")
        dispatcher.wake()
        await eventually(rings(push, devices))
        await eventually(lambda: [(one.lane, one.running) for one in dispatcher.status()] == [(APNS, 4), (FCM, 0)])
    assert slow.under_way == 0
    assert not any(push.provider.screen(device).rings for device in hanging)


async def test_no_more_are_under_way_than_a_lane_has_room_for(push: Pushing) -> None:
    devices = await jobs_for(push, 20)
    slow = Slow(push)
    async with push.dispatcher(SOON, senders=slow):
        await eventually(rings(push, devices))
    assert slow.most <= 4


async def test_what_a_stopped_worker_had_under_way_is_done_by_the_next(push: Pushing) -> None:
    devices = await jobs_for(push, 3)
    slow = Slow(push, hanging={"apns"})
    async with push.dispatcher(IMPATIENT, senders=slow):
        await eventually(lambda: slow.under_way == 3)
    push.now.ms += 40_000
    async with push.dispatcher(SOON):
        await eventually(rings(push, devices))
    assert len(push.provider.pushes) == 3


async def test_a_lane_that_is_left_alone_is_shown_and_can_be_reset(db: Database, store: Store) -> None:
    push = Pushing(db, store, breakers=BreakerSettings(credentials_ms=3_600_000, longest_ms=3_600_000))
    devices = await jobs_for(push, 5)
    push.provider.answering = lambda _: CredentialsAtFault("forbidden")
    async with push.dispatcher(SOON) as dispatcher:
        await eventually(lambda: bool(push.provider.pushes) and dispatcher.status()[0].running == 0)
        (status,) = dispatcher.status()
        assert (status.lane, status.state, status.reason) == (APNS, LaneState.OPEN, "forbidden")
        assert status.until is not None
        assert status.until > START + 1_800_000
        push.provider.answering = lambda _: None
        assert not dispatcher.reset("another")
        assert dispatcher.reset(APNS)
        push.now.ms = status.until + 5_000
        await eventually(rings(push, devices))
        assert dispatcher.status()[0].state is LaneState.CLOSED


async def test_a_job_that_comes_due_is_done_without_a_hint(push: Pushing) -> None:
    async with push.dispatcher(SOON):
        devices = await jobs_for(push, 1)
        await eventually(rings(push, devices))
