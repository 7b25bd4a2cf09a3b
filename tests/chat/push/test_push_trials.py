"""A test of a device goes the way of every notification, and is traced as one."""

from typing import Any

import pytest

from chat.push.policy import DeviceState
from chat.push.sending import Kind, Unknown
from chat.push.trials import Trials, WithTrials, is_trial
from storage.model.device import Device
from storage.model.notifying import PushPreferences
from support.conversing import a_group
from support.pushing import Pushing


@pytest.fixture
async def phone(push: Pushing) -> Device:
    device: Device = await push.device()
    return device


def parts(push: Pushing) -> dict[str, Any]:
    return {"unreads": WithTrials(push.unreads, push.badges)}


async def begin(push: Pushing, device: Device) -> tuple[str, int]:
    return await Trials(push.jobs, clock_ms=push.now, wake=push._hint).begin(device)


async def test_it_is_on_the_screen_at_once_with_the_right_badge_and_in_the_trace(push: Pushing, phone: Device) -> None:
    push.badges.counts["ada"] = 7
    conversation, offset = await begin(push, phone)
    assert await push.work(**parts(push)) == 1
    screen = push.provider.screen(phone.id)
    assert (screen.bodies, screen.rings, screen.badge) == (["It works."], 1, 7)
    assert await push.why(conversation, offset, phone) == ["decided:send:offline", "answered:alert:accepted"]
    assert push.hints == 1


async def test_each_is_another_and_one_that_was_tried_twice_rings_once(push: Pushing, phone: Device) -> None:
    first, second = await begin(push, phone), await begin(push, phone)
    assert first != second
    push.provider.answering = lambda one: None if one.attempt > 1 else Unknown("deadline")
    await push.pass_(60_000, **parts(push))
    sent = {one.notification.job_id for one in push.provider.pushes if one.notification.kind is Kind.ALERT}
    assert push.provider.screen(phone.id).rings == len(sent) == 2


async def test_it_rings_while_the_app_is_in_front_but_not_at_night(push: Pushing, phone: Device) -> None:
    push.doing.states["ada"] = {phone.id: DeviceState(connected=True, foreground=True)}
    await begin(push, phone)
    await push.work(**parts(push))
    assert push.provider.screen(phone.id).rings == 1
    await push.store.notifying.change("ada", lambda _: PushPreferences(snoozed_until=push.now.ms + 60_000))
    conversation, offset = await begin(push, phone)
    await push.work(**parts(push))
    assert await push.why(conversation, offset, phone) == ["decided:wait:do_not_disturb"]
    await push.pass_(61_000, **parts(push))
    assert push.provider.screen(phone.id).rings == 2


async def test_conversations_are_what_they_were(push: Pushing) -> None:
    group = await a_group(push.store)
    assert not is_trial(group.id)
    unreads = WithTrials(push.unreads, push.badges)
    assert await unreads.of("ada", group.id) == await push.unreads.of("ada", group.id)
    assert await unreads.of("ada", "z" * 26) is None
