"""A provider that asks for time gets it from all workers, and from those that start meanwhile."""

import pytest

from chat.push.breaker import LaneState
from chat.push.dispatcher import Dispatcher, DispatcherSettings
from chat.push.sending import Later
from storage.model.device import Device
from storage.model.push import Pause
from support.conversing import a_group, say
from support.pushing import Pushing
from support.waiting import eventually

SOON = DispatcherSettings(poll_s=0.02)
LANE = "apns|production|app"
BROWSERS = "webpush|production|app"
ORIGIN = "https://push.example"
HOUR_MS = 3_600_000


async def hello(push: Pushing, user: str = "ada", **device: str) -> Device:
    """A message that is due to a device of its own."""
    phone = await push.device(user, **device)
    group = await a_group(push.store, (user, "bob"))
    await say(push.store, group.id, "bob", ["hello"], at=push.now.ms)
    await push.plan(group.id)
    push.now.ms += 1_500
    return phone


def state(worker: Dispatcher, lane: str = LANE) -> LaneState | None:
    return next((one.state for one in worker.status() if one.lane == lane), None)


async def test_what_one_worker_was_asked_for_the_others_and_the_next_keep_to(push: Pushing) -> None:
    async with push.dispatcher(SOON) as one, push.dispatcher(SOON) as other:
        push.provider.answers = [Later("quota_exceeded", "lane", 3_600.0)]
        phone = await hello(push)
        await eventually(lambda: push.provider.pushes)
        await eventually(lambda: push.pauses.at(push.now()))
        # Meanwhile another one becomes due, which either of them could send.
        second = await hello(push, "eve")
        await eventually(lambda: (state(one), state(other)) == (LaneState.OPEN, LaneState.OPEN))
    asked_at = push.now.ms
    async with push.dispatcher(SOON) as restarted:
        await eventually(lambda: state(restarted) is LaneState.OPEN)
        push.now.ms = asked_at + HOUR_MS - 60_000
        await eventually(lambda: state(restarted) is LaneState.OPEN)
        assert len(push.provider.pushes) == 1
        push.now.ms = asked_at + HOUR_MS + 5_000
        await eventually(lambda: all(push.provider.screen(one.id).rings == 1 for one in (phone, second)))


async def test_an_origin_that_asks_for_time_holds_up_no_other(push: Pushing) -> None:
    def browser(host: str) -> dict[str, str]:
        return {"provider": "webpush", "address": f"https://{host}/x", "address_kind": "subscription"}

    await push.pauses.keep(Pause(BROWSERS, ORIGIN, push.now.ms + HOUR_MS, "too_many_requests"))
    async with push.dispatcher(SOON) as worker:
        await hello(push, "eve", **browser("push.example"))
        other = await hello(push, **browser("other.example"))
        await eventually(lambda: push.provider.screen(other.id).rings == 1)
        (status,) = worker.status()
        assert (status.state, status.origins) == (LaneState.CLOSED, 1)
    assert {one.address.device for one in push.provider.pushes} == {other.id}


@pytest.mark.parametrize("asked_s", [None, 0.5])
async def test_a_pause_that_nobody_asked_for_or_that_is_short_is_a_workers_own(
    push: Pushing, asked_s: float | None
) -> None:
    push.provider.answers = [Later("unavailable", "lane", asked_s)]
    phone = await hello(push)
    await push.work()
    assert await push.pauses.at(push.now()) == []
    await push.pass_(10_000)
    assert push.provider.screen(phone.id).rings == 1


async def test_of_two_pauses_the_longer_one_is_kept_until_somebody_lifts_it(push: Pushing) -> None:
    now = push.now()
    for until in (now + 2_000, now + 9_000, now + 5_000):
        await push.pauses.keep(Pause(LANE, "", until, "quota"))
    await push.pauses.keep(Pause(BROWSERS, ORIGIN, now + 1_000, "busy"))
    assert await push.pauses.at(now) == [
        Pause(LANE, "", now + 9_000, "quota"),
        Pause(BROWSERS, ORIGIN, now + 1_000, "busy"),
    ]
    assert await push.pauses.at(now + 1_000) == [Pause(LANE, "", now + 9_000, "quota")]
    assert await push.pauses.lift(LANE) == 1
    assert await push.pauses.at(now + 1_000) == []
