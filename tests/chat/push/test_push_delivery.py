"""What a person sees and hears, whatever happens to the worker, the provider and the messages on the way."""

from dataclasses import replace

import pytest

from chat.push.policy import DeviceState
from chat.push.sending import (
    Accepted,
    AddressGone,
    Content,
    CredentialsAtFault,
    Kind,
    Later,
    Push,
    Rejected,
    TooLarge,
    Unknown,
    Verdict,
)
from storage.model import Conversation, EntryKind
from storage.model.device import Device
from storage.model.device import DeviceState as Standing
from storage.model.notifying import ContentMode, PushPreferences, QuietHours
from storage.store import Store
from support.conversing import a_group, say
from support.entries import message
from support.pushing import LEASE_MS, START, Killed, Knife, Pushing, Screen

HOUR_MS = 3_600_000


@pytest.fixture
async def group(store: Store) -> Conversation:
    return await a_group(store)


@pytest.fixture
async def phone(push: Pushing) -> Device:
    return await push.device()


async def hello(push: Pushing, group: Conversation, *texts: str) -> int:
    """Bob says it now, and it is planned; the offset of the last."""
    sent = await say(push.store, group.id, "bob", texts or ("hello",), at=push.now.ms)
    await push.plan(group.id, sent[0].entry.offset - 1)
    return sent[-1].entry.offset


def screen(push: Pushing, device: Device) -> Screen:
    return push.provider.screen(device.id)


async def test_a_phone_rings_once_for_a_burst_and_shows_the_last_text(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    push.badges.counts["ada"] = 4
    for text in ("one", "two", "three"):
        await hello(push, group, text)
        await push.pass_(300)
    await push.pass_(5_000)
    seen = screen(push, phone)
    assert (seen.rings, seen.badge, seen.bodies) == (1, 4, ["3 new messages\nSomebody: three"])


async def test_the_next_message_replaces_the_banner_and_rings_again_after_a_while(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    await hello(push, group, "one")
    await push.pass_(5_000)
    await hello(push, group, "two")
    await push.pass_(5_000)
    assert (screen(push, phone).rings, len(screen(push, phone).banners)) == (1, 1)
    await push.pass_(10_000)
    await hello(push, group, "three")
    await push.pass_(5_000)
    assert (screen(push, phone).rings, screen(push, phone).bodies) == (2, ["3 new messages\nSomebody: three"])


@pytest.mark.parametrize("after", [False, True])
async def test_a_worker_that_is_killed_at_any_step_costs_no_banner_and_no_second_ring(
    push: Pushing, group: Conversation, phone: Device, after: bool
) -> None:
    for step in range(1, 50):
        offset = await hello(push, group, f"number {step}")
        push.now.ms += 1_500
        knife = Knife(step, after=after)
        parts = {
            "jobs": push.jobs,
            "devices": push.store.devices,
            "preferences": push.store.notifying,
            "unreads": push.unreads,
            "states": push.doing,
            "senders": push.provider,
        }
        delivery = push.delivery(**{name: knife.over(part) for name, part in parts.items()})
        rings = screen(push, phone).rings
        killed = False
        try:
            await delivery.deliver(await push.claim(phone), push.lane("apns|production|app"))
        except Killed:
            killed = True
        await push.pass_(LEASE_MS + 1_000, step_ms=10_000)
        seen = screen(push, phone)
        assert (seen.rings - rings, len(seen.banners)) == (1, 1)
        assert seen.bodies[0].endswith(f"number {step}")
        assert await push.jobs.get(phone.id, group.id) is None
        await push.read(group.id, offset)
        await push.pass_(4_000)
        assert screen(push, phone).banners == {}
        push.now.ms += 60_000
        if not killed:
            assert step > 7
            return
    pytest.fail("there is no end of steps")


async def test_what_was_read_on_another_device_in_time_makes_no_sound(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    offset = await hello(push, group)
    await push.pass_(1_000)
    await push.read(group.id, offset)
    await push.pass_(10_000)
    assert push.provider.pushes == []
    assert await push.why(group.id, offset, phone) == ["planned:job", "decided:suppress:already_read"]


async def test_what_is_read_while_it_is_being_sent_disappears(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    offset = await hello(push, group)
    push.now.ms += 1_500
    job = await push.claim(phone)
    await push.delivery().deliver(job, push.lane(job.lane))
    assert len(screen(push, phone).banners) == 1
    push.badges.counts["ada"] = 0
    await push.read(group.id, offset)
    await push.pass_(2_000)
    assert (screen(push, phone).banners, screen(push, phone).badge, screen(push, phone).rings) == ({}, 0, 1)


async def test_what_is_deleted_before_it_is_sent_is_not_told(push: Pushing, group: Conversation, phone: Device) -> None:
    offset = await hello(push, group, "stays", "goes")
    await delete(push, group, offset)
    await push.pass_(5_000)
    assert screen(push, phone).bodies == ["Somebody: stays"]


async def test_what_is_deleted_afterwards_is_taken_off_the_screen_without_a_sound(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    offset = await hello(push, group, "stays", "goes")
    await push.pass_(2_000)
    assert screen(push, phone).bodies == ["2 new messages\nSomebody: goes"]
    await delete(push, group, offset)
    await push.pass_(2_000)
    assert (screen(push, phone).bodies, screen(push, phone).rings) == (["Somebody: stays"], 1)
    await delete(push, group, offset - 1)
    await push.pass_(2_000)
    assert (screen(push, phone).bodies, screen(push, phone).rings) == ([], 1)


async def delete(push: Pushing, group: Conversation, offset: int) -> None:
    entry = message(group.id, by="bob", kind=EntryKind.MESSAGE_DELETED, at=push.now.ms, body={"target": offset})
    await push.store.rewording.delete(entry, offset)
    await push.plan(group.id, offset)


async def test_a_browser_is_never_sent_what_cannot_be_seen(push: Pushing, group: Conversation) -> None:
    browser = await push.device(provider="webpush", address="https://push.example/x", address_kind="subscription")
    offset = await hello(push, group)
    await push.pass_(2_000)
    await push.read(group.id, offset)
    await push.pass_(2_000)
    assert [one.notification.kind for one in push.provider.pushes] == [Kind.ALERT]
    assert await push.jobs.shown(browser.id) == {}


async def test_a_night_ends_with_one_ring_for_all_conversations(push: Pushing, store: Store, phone: Device) -> None:
    # It is 22:13 UTC.
    night = PushPreferences(quiet=(QuietHours(22 * 60, 7 * 60, tuple(range(7))),), time_zone="UTC")
    await store.notifying.change("ada", lambda _: night)
    groups = [await a_group(store) for _ in range(3)]
    for group in groups:
        offset = await hello(push, group, "good night")
    await push.pass_(8 * HOUR_MS, step_ms=600_000)
    assert push.provider.pushes == []
    await push.pass_(HOUR_MS, step_ms=60_000)
    assert (screen(push, phone).rings, len(screen(push, phone).banners)) == (1, 3)
    assert "decided:wait:do_not_disturb" in await push.why(groups[-1].id, offset, phone)


async def test_somebody_who_looks_at_it_is_given_time_to_read_and_then_the_phone_rings(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    push.doing.states["ada"] = {"desk": DeviceState(connected=True, foreground=True, viewing=True, confirmed=99)}
    offset = await hello(push, group)
    await push.pass_(4_500)
    assert push.provider.pushes == []
    await push.pass_(1_000)
    assert screen(push, phone).rings == 1
    assert (await push.why(group.id, offset, phone))[1:3] == ["decided:wait:in_view", "decided:send:in_view"]


async def test_a_redis_that_is_away_delays_nothing(push: Pushing, group: Conversation, phone: Device) -> None:
    push.doing.away = True
    await hello(push, group)
    await push.pass_(1_500)
    assert screen(push, phone).rings == 1


@pytest.mark.parametrize("mode", list(ContentMode))
async def test_a_notification_says_what_the_user_wants_it_to(
    push: Pushing, store: Store, group: Conversation, phone: Device, mode: ContentMode
) -> None:
    await store.notifying.change("ada", lambda _: PushPreferences(content=mode))
    await hello(push, group, "secret")
    await push.pass_(2_000)
    (body,) = screen(push, phone).bodies
    assert ("secret" in body) == (mode is ContentMode.FULL)


# --- what providers answer ---


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        ([Unknown("timeout")], 2),
        ([Unknown("reset"), Unknown("reset"), Unknown("reset")], 25),
        ([Later("busy", "device")], 2),
        ([Later("busy", "device", 20.0)], 23),
        ([Later("unavailable", "lane")], 4),
        ([Later("unavailable", "lane", 30.0)], 32),
        ([CredentialsAtFault("expired_provider_token")], 62),
        ([TooLarge("payload_too_large")], 0),
    ],
)
async def test_what_passes_by_itself_costs_time_and_no_second_banner(
    push: Pushing, group: Conversation, phone: Device, answers: list[Verdict], seconds: int
) -> None:
    push.provider.answers = answers
    await hello(push, group)
    await push.pass_(2_000 + seconds * 1_000)
    assert (screen(push, phone).rings, len(screen(push, phone).banners)) == (1, 1)
    ids = {(one.notification.job_id, one.notification.collapse_id) for one in push.provider.pushes}
    assert len(ids) == 1


async def test_one_that_was_shown_although_nobody_answered_rings_once(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    def shows_and_says_nothing(one: Push) -> Verdict | None:
        if one.attempt < 3:
            screen(push, phone).show(one.notification)
            return Unknown("timeout")
        return None

    push.provider.answering = shows_and_says_nothing
    await hello(push, group)
    await push.pass_(30_000)
    assert [one.attempt for one in push.provider.pushes] == [1, 2, 3]
    assert (screen(push, phone).rings, len(screen(push, phone).banners)) == (1, 1)


@pytest.mark.parametrize(
    ("verdict", "sends"),
    [
        (Rejected("bad_priority"), 1),
        (TooLarge("payload_too_large"), 2),
        (Later("whatever", "device"), 3),
        (Unknown("timeout"), 5),
        (Later("too_many_requests", "device", 1.0), 5),
    ],
)
async def test_what_does_not_pass_is_kept_as_a_dead_letter_that_can_be_replayed(
    push: Pushing, group: Conversation, phone: Device, verdict: Verdict, sends: int
) -> None:
    push.provider.answering = lambda _: verdict
    offset = await hello(push, group)
    await push.pass_(600_000, step_ms=2_000)
    assert len(push.provider.pushes) == sends
    (letter,) = await push.jobs.dead(limit=10)
    assert (letter.device, letter.upto) == (phone.id, offset)
    assert await push.jobs.get(phone.id, group.id) is None
    push.provider.answering = lambda _: None
    assert await push.jobs.replay(letter.id, now=push.now.ms, life_ms=HOUR_MS)
    await push.pass_(1_000)
    assert screen(push, phone).rings == 1
    assert (await push.why(group.id, offset, phone))[-1] == "answered:alert:accepted"


async def test_a_lane_at_fault_costs_no_attempts_and_one_probe_opens_it_again(
    push: Pushing, store: Store, group: Conversation, phone: Device
) -> None:
    other = await push.device("eve")
    another = await a_group(store, ("eve", "bob"))
    push.provider.answering = lambda _: CredentialsAtFault("invalid_provider_token")
    await hello(push, group)
    await hello(push, another)
    await push.pass_(3_600_000, step_ms=10_000)
    assert len(push.provider.pushes) < 30
    assert await push.jobs.dead(limit=10) == []
    push.provider.answering = lambda _: None
    await push.pass_(400_000, step_ms=1_000)
    assert (screen(push, phone).rings, screen(push, other).rings) == (1, 1)


async def test_what_is_too_old_is_not_told_any_more(push: Pushing, group: Conversation, phone: Device) -> None:
    push.provider.missing = True
    offset = await hello(push, group)
    await push.pass_(5 * HOUR_MS, step_ms=60_000)
    assert await push.jobs.get(phone.id, group.id) is None
    assert "ended:expired" in "".join(await push.why(group.id, offset, phone))


async def test_a_device_that_is_gone_is_tombstoned_unless_it_has_registered_since(
    push: Pushing, store: Store, group: Conversation, phone: Device
) -> None:
    push.provider.answers = [AddressGone("unregistered", START - 1)]
    await hello(push, group)
    await push.pass_(10_000)
    assert screen(push, phone).rings == 1
    push.provider.answers = [AddressGone("unregistered", START + 1)]
    await hello(push, group)
    await push.pass_(10_000)
    kept = await store.devices.get(phone.id)
    assert kept is not None
    assert (kept.state, kept.reason) == (Standing.TOMBSTONE, "unregistered")
    assert await push.jobs.get(phone.id, group.id) is None


async def test_swapped_keys_lose_hardly_any_device(push: Pushing, store: Store) -> None:
    users = [f"user{n}" for n in range(60)]
    group = await a_group(store, ("bob", *users))
    devices = [await push.device(user) for user in users]
    push.provider.answering = lambda _: AddressGone("bad_device_token")
    await hello(push, group)
    await push.pass_(30_000)
    gone = [one.id for one in devices if (found := await store.devices.get(one.id)) and not found.active]
    assert len(gone) == 20
    status = push.lane("apns|production|app").status(push.now.ms)
    assert (status.reason, status.suspect_since) == ("too_many_devices_gone", START + 1_500)
    assert len(await store.devices.undo(provider="apns", app="app", since=START, until=push.now.ms, limit=60)) == 20
    push.provider.answering = lambda _: None
    push.lane("apns|production|app").reset()
    await hello(push, group)
    await push.pass_(1_200_000, step_ms=5_000)
    assert all(push.provider.screen(one.id).rings for one in devices)


async def test_a_device_that_was_reached_in_the_other_environment_stays_there(
    push: Pushing, store: Store, group: Conversation, phone: Device
) -> None:
    push.provider.answers = [Accepted("id", "sandbox")]
    await hello(push, group)
    await push.pass_(2_000)
    await push.pass_(20_000)
    await hello(push, group)
    await push.pass_(2_000)
    assert [one.address.environment for one in push.provider.pushes] == ["production", "sandbox"]


async def test_a_device_that_registers_anew_takes_its_job_to_its_new_lane(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    await hello(push, group)
    await push.device(provider="fcm", address="another")
    await push.pass_(3_000)
    (sent,) = push.provider.pushes
    assert (sent.address.provider, sent.address.value) == ("fcm", "another")


async def test_a_device_that_signed_out_is_sent_nothing(
    push: Pushing, store: Store, group: Conversation, phone: Device
) -> None:
    offset = await hello(push, group)
    await store.devices.remove("ada", ["phone"])
    await push.pass_(3_000)
    assert push.provider.pushes == []
    assert (await push.why(group.id, offset, phone))[-1] == "ended:dropped:no_device"


async def test_a_sender_that_fails_by_a_fault_of_ours_is_tried_again(
    push: Pushing, group: Conversation, phone: Device
) -> None:
    failing = iter([True])

    def fail_once(_: Push) -> Verdict | None:
        if next(failing, False):
            raise RuntimeError("a bug")
        return None

    push.provider.answering = fail_once
    await hello(push, group)
    await push.pass_(10_000)
    assert screen(push, phone).rings == 1


async def test_what_is_too_large_is_sent_with_less(push: Pushing, group: Conversation, phone: Device) -> None:
    push.provider.answering = lambda one: (
        None if one.notification.content is Content.GENERIC else TooLarge("payload_too_large")
    )
    await hello(push, group, "long " * 100)
    await push.pass_(2_000)
    assert screen(push, phone).bodies == ["You have new messages"]


async def test_an_origin_that_is_down_does_not_hold_up_another_of_its_lane(
    push: Pushing, store: Store, group: Conversation
) -> None:
    def browser(host: str) -> dict[str, str]:
        return {"provider": "webpush", "address": f"https://{host}/x", "address_kind": "subscription"}

    down = await push.device("ada", "down", **browser("down.example"))
    good = await push.device("ada", "good", **browser("good.example"))
    push.provider.answering = lambda one: (
        Later("too_many_requests", "origin", 60.0) if "down" in one.address.value else None
    )
    await hello(push, group)
    await push.pass_(10_000)
    assert (screen(push, good).rings, screen(push, down).rings) == (1, 0)
    assert len(push.provider.pushes) == 2
    push.provider.answering = lambda _: None
    await push.pass_(60_000)
    assert screen(push, down).rings == 1


async def test_traces_never_have_a_text_or_an_address(push: Pushing, group: Conversation, phone: Device) -> None:
    offset = await hello(push, group, "secret")
    push.provider.answers = [Unknown("timeout")]
    await push.pass_(20_000)
    await push.tracer.flush()
    told = str(await push.traces.of_message(group.id, offset))
    assert "accepted" in told
    assert "secret" not in told
    assert phone.address not in told
    assert replace(phone).address not in repr(push.provider.pushes)
