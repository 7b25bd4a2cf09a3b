"""The number on a device's icon is what is unread, also where nothing else would be said: together, and quietly."""

import pytest

from chat.push.clearing import NUMBER_DELAY_MS
from chat.push.policy import DeviceState
from chat.push.sending import Kind, Rejected, Unknown
from storage.model import Conversation
from storage.model.device import Device
from storage.store import Store
from support.conversing import a_group, say
from support.pushing import Pushing

GAP_MS = 10_000


@pytest.fixture
async def groups(store: Store) -> list[Conversation]:
    return [await a_group(store) for _ in range(4)]


@pytest.fixture
async def phone(push: Pushing) -> Device:
    return await push.device()


async def hello(push: Pushing, group: Conversation) -> int:
    (sent,) = await say(push.store, group.id, "bob", ["hello"], at=push.now.ms)
    await push.plan(group.id, sent.entry.offset - 1)
    return sent.entry.offset


async def told(push: Pushing, groups: list[Conversation]) -> list[int]:
    """One message in each of them, of which all devices there are were told; their offsets."""
    offsets = []
    for count, group in enumerate(groups, start=1):
        push.badges.counts["ada"] = count
        offsets.append(await hello(push, group))
        await push.pass_(2_000)
    push.now.ms += 60_000
    return offsets


async def reads(push: Pushing, group: Conversation, offset: int) -> None:
    push.badges.counts["ada"] -= 1
    await push.read(group.id, offset)


def numbers(push: Pushing) -> list[int | None]:
    """What was sent for the number alone."""
    return [one.notification.badge for one in push.provider.pushes if one.notification.kind is Kind.BADGE]


async def test_a_device_that_shows_another_conversation_is_told_the_number_without_a_sound(
    push: Pushing, groups: list[Conversation], phone: Device
) -> None:
    first, *_ = await told(push, groups[:1])
    tablet = await push.device(install="tablet")
    await hello(push, groups[1])
    push.badges.counts["ada"] = 2
    await push.pass_(2_000)
    await reads(push, groups[0], first)
    await push.pass_(NUMBER_DELAY_MS + 1_000)
    screens = [push.provider.screen(one.id) for one in (phone, tablet)]
    assert [(one.badge, len(one.banners), one.rings) for one in screens] == [(1, 1, 2), (1, 1, 1)]
    # The phone was told with what was taken away.
    assert numbers(push) == [1]


async def test_however_much_is_read_a_device_is_told_seldom_and_the_last_number(
    push: Pushing, groups: list[Conversation], phone: Device
) -> None:
    offsets = await told(push, groups)
    tablet = await push.device(install="tablet")
    push.badges.counts["ada"] = 40
    await hello(push, groups[3])
    await push.pass_(2_000)
    began = push.now.ms
    for _ in range(30):
        await reads(push, groups[0], offsets[0])
        await push.pass_(500)
    await push.pass_(2 * GAP_MS)
    assert push.provider.screen(tablet.id).badge == 10
    sent = len(numbers(push))
    assert 2 <= sent <= 2 * (push.now.ms - began) // GAP_MS


async def test_who_was_told_that_nothing_is_left_is_told_nothing_when_more_is_read(
    push: Pushing, groups: list[Conversation], phone: Device
) -> None:
    offset, *_ = await told(push, groups[:1])
    await reads(push, groups[0], offset)
    await push.pass_(5_000)
    sent = len(push.provider.pushes)
    await push.read(groups[1].id, 1)
    assert await push.jobs.lanes() == []
    await push.pass_(5_000)
    assert len(push.provider.pushes) == sent


async def test_a_device_with_the_app_in_front_sets_its_own_number(
    push: Pushing, groups: list[Conversation], phone: Device
) -> None:
    offset, _ = await told(push, groups[:2])
    await push.jobs.forget(phone.id)
    await hello(push, groups[1])
    await push.pass_(2_000)
    push.doing.states["ada"] = {phone.id: DeviceState(connected=True, foreground=True)}
    await reads(push, groups[0], offset)
    await push.pass_(GAP_MS)
    assert numbers(push) == []


async def test_browsers_are_sent_no_number(push: Pushing, groups: list[Conversation]) -> None:
    await push.device(provider="webpush", address="https://push.example/x", address_kind="subscription")
    offset, _ = await told(push, groups[:2])
    await reads(push, groups[0], offset)
    await push.pass_(GAP_MS)
    assert {one.notification.kind for one in push.provider.pushes} == {Kind.ALERT}


async def test_a_number_that_nobody_confirms_is_sent_again_under_the_same_id_and_never_a_dead_letter(
    push: Pushing, groups: list[Conversation], phone: Device
) -> None:
    offset, *_ = await told(push, groups[:1])
    tablet = await push.device(install="tablet")
    push.badges.counts["ada"] = 2
    await hello(push, groups[1])
    await push.pass_(2_000)
    push.provider.answering = lambda one: Unknown("timeout") if one.notification.kind is Kind.BADGE else None
    await reads(push, groups[0], offset)
    await push.pass_(5_000)
    push.provider.answering = lambda _: None
    await push.pass_(30_000)
    assert push.provider.screen(tablet.id).badge == 1
    ids = [one.notification.job_id for one in push.provider.pushes if one.notification.kind is Kind.BADGE]
    assert (len(ids) > 1, len(set(ids))) == (True, 1)

    push.provider.answering = lambda _: Rejected("bad_priority")
    push.badges.counts["ada"] = 1
    await push.read(groups[2].id, 1)
    await push.pass_(60_000)
    assert await push.jobs.dead(limit=10) == []
    assert await push.jobs.lanes() == []
