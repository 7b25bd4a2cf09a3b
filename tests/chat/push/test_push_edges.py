"""What a person sees at the edges: where nights begin and end while clocks change, and of what may have been shown."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from chat.push.sending import Kind, Later, Push, Unknown, Verdict
from storage.model import Conversation, EntryKind, Preferences
from storage.model.device import Device
from storage.model.notifying import PushPreferences, QuietHours
from storage.store import Store
from support.conversing import a_group, say
from support.entries import message
from support.pushing import LEASE_MS, Killed, Knife, Pushing, Screen

HOUR_MS = 3_600_000
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
NIGHT = QuietHours(22 * 60, 7 * 60, tuple(range(7)))


@pytest.fixture
async def group(store: Store) -> Conversation:
    return await a_group(store)


@pytest.fixture
async def phone(push: Pushing) -> Device:
    return await push.device(time_zone=BERLIN)


def screen(push: Pushing, device: Device) -> Screen:
    return push.provider.screen(device.id)


async def hello(push: Pushing, group: Conversation, *texts: str) -> int:
    """Bob says it now, and it is planned; the offset of the last."""
    sent = await say(push.store, group.id, "bob", texts or ("hello",), at=push.now.ms)
    await push.plan(group.id, sent[0].entry.offset - 1)
    return sent[-1].entry.offset


def at(zone: str, *when: int) -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[arg-type,misc]  # six numbers


async def sleeps(push: Pushing, zone: str = "") -> None:
    """Ada is not to be disturbed at night."""
    await push.store.notifying.change("ada", lambda _: PushPreferences(quiet=(NIGHT,), time_zone=zone))


async def rings_at(push: Pushing, phone: Device, wanted: int) -> None:
    """It is silent until then, and rings once."""
    await push.pass_(wanted - 1_000 - push.now.ms, step_ms=600_000)
    assert screen(push, phone).rings == 0
    await push.pass_(3_000)
    assert screen(push, phone).rings == 1
    await push.pass_(2 * HOUR_MS, step_ms=600_000)
    assert (screen(push, phone).rings, len(screen(push, phone).banners)) == (1, 1)


# --- nights ---


@pytest.mark.parametrize(
    ("evening", "morning", "hours"),
    [
        ((2027, 3, 27, 23, 0), (2027, 3, 28, 7, 0), 7),
        ((2027, 10, 30, 23, 0), (2027, 10, 31, 7, 0), 9),
        ((2027, 6, 1, 23, 0), (2027, 6, 2, 7, 0), 8),
    ],
)
async def test_a_night_ends_by_the_clock_on_the_wall_though_the_clocks_have_changed(
    push: Pushing,
    group: Conversation,
    phone: Device,
    evening: tuple[int, ...],
    morning: tuple[int, ...],
    hours: int,
) -> None:
    await sleeps(push)
    push.now.ms = at(BERLIN, *evening)
    await hello(push, group, "good night")
    assert at(BERLIN, *morning) - push.now.ms == hours * HOUR_MS
    await rings_at(push, phone, at(BERLIN, *morning))


async def test_who_has_flown_west_in_the_night_sleeps_until_it_is_morning_there(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    await sleeps(push)
    push.now.ms = at(BERLIN, 2027, 6, 1, 23, 30)
    await hello(push, group, "good night")
    await push.pass_(HOUR_MS, step_ms=600_000)
    await push.device(time_zone=NEW_YORK)
    await rings_at(push, phone, at(NEW_YORK, 2027, 6, 2, 7, 0))


async def test_who_has_said_where_they_are_is_asked_before_the_phone(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    await sleeps(push, NEW_YORK)
    push.now.ms = at(BERLIN, 2027, 6, 1, 23, 30)
    await hello(push, group, "it is afternoon in New York")
    await push.pass_(3_000)
    assert screen(push, phone).rings == 1


async def test_a_message_that_comes_once_it_is_day_brings_what_has_waited_along(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    await sleeps(push)
    push.now.ms = at(BERLIN, 2027, 6, 1, 23, 30)
    await hello(push, group, "good night")
    await push.pass_(3_000)
    await push.device(time_zone=NEW_YORK)
    assert screen(push, phone).rings == 0
    await hello(push, group, "have you landed?")
    await push.pass_(3_000)
    assert (screen(push, phone).rings, screen(push, phone).bodies) == (
        1,
        ["2 new messages\nSomebody: have you landed?"],
    )
    await push.pass_(24 * HOUR_MS, step_ms=HOUR_MS)
    assert screen(push, phone).rings == 1


@pytest.mark.parametrize(("early_ms", "rings"), [(1, 0), (0, 1)])
async def test_a_mute_covers_what_was_sent_before_its_end(
    push: Pushing, store: Store, group: Conversation, phone: Device, early_ms: int, rings: int
) -> None:
    until = push.now.ms + 60_000
    await store.preferring.change(group.id, "ada", lambda _: Preferences(muted_until=until), at=push.now.ms)
    await hello(push, group, "psst")
    push.now.ms = until - early_ms
    await hello(push, group, "hello")
    await push.pass_(60_000)
    assert (screen(push, phone).rings, screen(push, phone).bodies) == (rings, ["Somebody: hello"] * rings)


# --- what may have been shown ---


def shows_and_says_nothing(push: Pushing, phone: Device, times: int) -> None:
    left = iter(range(times))

    def answering(one: Push) -> Verdict | None:
        if one.notification.kind is Kind.ALERT and next(left, None) is not None:
            screen(push, phone).show(one.notification)
            return Unknown("timeout")
        return None

    push.provider.answering = answering


async def test_what_was_read_disappears_though_nobody_ever_said_that_it_was_shown(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    shows_and_says_nothing(push, phone, 1)
    offset = await hello(push, group)
    await push.pass_(1_500)
    assert len(screen(push, phone).banners) == 1
    push.badges.counts["ada"] = 0
    await push.read(group.id, offset)
    await push.pass_(10_000)
    assert (screen(push, phone).banners, screen(push, phone).badge, screen(push, phone).rings) == ({}, 0, 1)
    assert await push.jobs.get(phone.id, group.id) is None


async def test_what_was_read_disappears_though_the_worker_was_killed_that_had_it_shown(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    offset = await hello(push, group)
    push.now.ms += 1_500
    delivery = push.delivery(senders=Knife(1, after=True).over(push.provider))
    with pytest.raises(Killed):
        await delivery.deliver(await push.claim(phone), push.lane("apns|production|app"))
    assert len(screen(push, phone).banners) == 1
    await push.read(group.id, offset)
    await push.pass_(LEASE_MS + 1_000, step_ms=10_000)
    assert (screen(push, phone).banners, screen(push, phone).rings) == ({}, 1)
    assert await push.jobs.get(phone.id, group.id) is None


@pytest.mark.parametrize(
    ("silent_times", "for_ms"), [(5, 600_000), (1, 5 * HOUR_MS)], ids=["after all attempts", "when it is too old"]
)
async def test_what_was_read_disappears_though_it_was_given_up(
    push: Pushing, group: Conversation, phone: Device, silent_times: int, for_ms: int
) -> None:
    shows_and_says_nothing(push, phone, silent_times)
    offset = await hello(push, group)
    await push.pass_(1_500)
    # Until then the provider is away, or the rest of the attempts come to nothing as well.
    push.provider.missing = silent_times == 1
    await push.pass_(for_ms, step_ms=10_000)
    push.provider.missing = False
    assert await push.jobs.get(phone.id, group.id) is None
    await push.read(group.id, offset)
    await push.pass_(300_000, step_ms=5_000)
    assert (screen(push, phone).banners, screen(push, phone).rings) == ({}, 1)


async def test_what_was_deleted_disappears_though_nobody_ever_said_that_it_was_shown(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    shows_and_says_nothing(push, phone, 1)
    offset = await hello(push, group)
    await push.pass_(1_500)
    entry = message(group.id, by="bob", kind=EntryKind.MESSAGE_DELETED, at=push.now.ms, body={"target": offset})
    await push.store.rewording.delete(entry, offset)
    await push.plan(group.id, offset)
    await push.pass_(10_000)
    assert (screen(push, phone).banners, screen(push, phone).rings) == ({}, 1)


async def test_what_was_never_taken_is_not_taken_away(push: Pushing, group: Conversation, phone: Device) -> None:
    push.provider.answers = [Later("unavailable", "lane", 5.0)]
    offset = await hello(push, group)
    await push.pass_(2_000)
    await push.read(group.id, offset)
    await push.pass_(20_000)
    assert [one.notification.kind for one in push.provider.pushes] == [Kind.ALERT]
