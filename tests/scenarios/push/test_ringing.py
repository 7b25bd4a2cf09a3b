"""What is seen on phones: from a message sent on a real hub, through a real worker and the vendors, to the screen."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from chat.push.lab.handset import Handset, Platform
from support.ringing import PLATFORMS, Look, Ringing
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

HAVE_CLEARING: tuple[Platform, ...] = ("ios", "android")
"""Browsers take the subscription away from who sends what cannot be seen: a banner there waits for the next one."""


@dataclass
class Scene:
    """Dave talks to Alice, who has three phones and is nowhere."""

    ring: Ringing
    alice: str
    dave: WireClient
    trip: str
    phones: dict[Platform, Handset]

    async def say(self, *texts: str, to: str = "") -> int:
        """The offset of the last."""
        sent: Any = None
        for text in texts:
            sent = await say(self.dave, to or self.trip, text)
        return int(sent["message"]["offset"])

    async def reads(self, upto: int, conversation: str = "") -> None:
        """Alice does, on another device."""
        async with self.ring.user(self.alice, called="Alice") as alice:
            await alice.rpc("read.mark", conversation=conversation or self.trip, offset=upto)

    async def has_one_unread(self) -> bool:
        async with self.ring.app.rest(self.alice) as rest, rest.post("/v1/rpc/read.totals", json={}) as answer:
            assert answer.status == 200, await answer.text()
            return bool((await answer.json())["unread"] == 1)

    async def is_not_to_be_disturbed(self, alice: WireClient) -> None:
        snoozed_until = time.time_ns() // 1_000_000 + 600_000
        assert "error" not in await alice.rpc("push.preferences", snoozed_until=snoozed_until)


@pytest_asyncio.fixture(loop_scope="module")
async def scene(ring: Ringing) -> AsyncIterator[Scene]:
    alice = ring.somebody()
    phones = await ring.everything(alice)
    async with ring.user(ring.somebody(), called="Dave") as dave:
        yield Scene(ring, alice, dave, await group(dave, alice, title="Trip"), phones)


async def test_who_is_away_sees_one_banner_with_the_last_text_and_the_badge(scene: Scene) -> None:
    await scene.say("Are you there?")
    await scene.ring.sees(scene.alice, "Dave: Are you there?", badge=1)
    await scene.say("Hello?")
    await scene.ring.sees(scene.alice, "2 new messages\nDave: Hello?", badge=2, rings=2)
    assert {banner.title for phone in scene.phones.values() for banner in phone.tray} == {"Trip"}


async def test_a_phone_that_was_off_shows_one_banner_when_it_comes_back(scene: Scene) -> None:
    for phone in scene.phones.values():
        phone.go_offline()
    for number, text in enumerate(("one", "two", "three"), start=1):
        await scene.ring.traced(scene.alice, scene.trip, await scene.say(text), "alert:accepted:")
        assert {len(phone.tray) for phone in scene.phones.values()} == {0}, number
    await scene.ring.settled(scene.alice)
    for phone in scene.phones.values():
        phone.go_online()
    looks = {platform: (phone.badge, [one.body for one in phone.tray]) for platform, phone in scene.phones.items()}
    assert looks == dict.fromkeys(PLATFORMS, (3, ["3 new messages\nDave: three"]))
    # Firebase keeps all of them, the others the last.
    assert (scene.phones["ios"].rings, scene.phones["web"].rings) == (1, 1)


async def test_who_registers_several_times_is_told_once(scene: Scene) -> None:
    address = next(iter(scene.phones["ios"].addresses))
    await asyncio.gather(*(scene.ring.register(scene.alice, "ios", address) for _ in range(5)))
    # Installed anew, or two apps that disagree about their name: the token is the same.
    await scene.ring.register(scene.alice, "ios", address, device="other-name")
    await scene.ring.register(scene.alice, "ios", address.upper(), device="third-name")
    await scene.say("Hello")
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
    arrived = [one for one in scene.ring.lab.apns["production"].arrived if one.token == address]
    assert len(arrived) == 1


# --- edited and deleted ---


async def test_what_was_edited_before_it_is_sent_is_told_as_it_is(scene: Scene) -> None:
    await scene.ring.stop_worker()
    offset = await scene.say("Meet at siz")
    await scene.dave.rpc("message.edit", conversation=scene.trip, offset=offset, text="Meet at six")
    await scene.ring.start_worker()
    await scene.ring.sees(scene.alice, "Dave: Meet at six", badge=1)


async def test_what_was_deleted_before_it_is_sent_is_not_told(scene: Scene) -> None:
    await scene.ring.stop_worker()
    await scene.say("Hello")
    offset = await scene.say("Something that nobody is to see")
    await scene.dave.rpc("message.delete", conversation=scene.trip, offset=offset)
    await scene.ring.start_worker()
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=2)


async def test_what_is_edited_and_deleted_afterwards_changes_on_the_screen_without_a_sound(scene: Scene) -> None:
    first = await scene.say("Hello")
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
    await scene.dave.rpc("message.edit", conversation=scene.trip, offset=first, text="Hello!")
    await scene.ring.sees(scene.alice, "Dave: Hello!", badge=1)
    second = await scene.say("Bye")
    await scene.ring.sees(scene.alice, "2 new messages\nDave: Bye", badge=2, rings=2)
    await scene.dave.rpc("message.delete", conversation=scene.trip, offset=second)
    await scene.ring.sees(scene.alice, "Dave: Hello!", badge=2, rings=2)
    await scene.dave.rpc("message.delete", conversation=scene.trip, offset=first)
    await scene.ring.sees(scene.alice, badge=2, rings=2, on=HAVE_CLEARING)


# --- read on another device ---


async def test_what_was_read_elsewhere_before_makes_no_sound(scene: Scene) -> None:
    await scene.ring.stop_worker()
    offset = await scene.say("Hello")
    await scene.reads(offset)
    await scene.ring.start_worker()
    await scene.ring.traced(scene.alice, scene.trip, offset, "suppress:already_read")
    await scene.ring.sees(scene.alice, badge=0, rings=0)


async def test_what_is_read_elsewhere_afterwards_disappears(scene: Scene) -> None:
    family = await group(scene.dave, scene.alice, title="Family")
    await scene.say("Hello", to=family)
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
    # Which is counted elsewhere a second later: less than `push.delay` usually is.
    await eventually(scene.has_one_unread)
    offset = await scene.say("Hello")
    await scene.ring.sees(scene.alice, "Dave: Hello", "Dave: Hello", badge=2, rings=2)
    await scene.reads(offset)
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1, rings=2, on=HAVE_CLEARING)
    # What comes next replaces what stays in a browser.
    await scene.say("Anybody?")
    await scene.ring.sees(scene.alice, "Dave: Hello", "Dave: Anybody?", badge=2, rings=3)


async def test_the_number_is_right_where_another_conversation_is_shown_and_where_nothing_is(scene: Scene) -> None:
    family = await group(scene.dave, scene.alice, title="Family")
    in_family = await scene.say("Hello", to=family)
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
    await eventually(scene.has_one_unread)
    # These have not heard of the family.
    later = [await scene.ring.get(scene.alice, platform, device=f"new-{platform}") for platform in HAVE_CLEARING]
    offset = await scene.say("Hi")
    await eventually(lambda: [Look.at(one) for one in later] == [Look(("Dave: Hi",), 2, 1)] * 2)
    await scene.reads(in_family, family)
    await eventually(lambda: [Look.at(one) for one in later] == [Look(("Dave: Hi",), 1, 1)] * 2)
    await scene.ring.sees(scene.alice, "Dave: Hi", badge=1, rings=2, on=HAVE_CLEARING)
    await scene.dave.rpc("message.delete", conversation=scene.trip, offset=offset)
    await scene.ring.sees(scene.alice, badge=1, rings=2, on=HAVE_CLEARING)
    await scene.reads(offset)
    await scene.ring.sees(scene.alice, badge=0, rings=2, on=HAVE_CLEARING)
    assert [Look.at(one) for one in later] == [Look((), 0, 1)] * 2


async def test_a_phone_that_was_off_shows_what_is_left_of_what_was_read_elsewhere(scene: Scene) -> None:
    family = await group(scene.dave, scene.alice, title="Family")
    phones = [scene.phones[platform] for platform in HAVE_CLEARING]
    for phone in phones:
        phone.go_offline()
    await scene.ring.traced(scene.alice, scene.trip, first := await scene.say("Hello"), "alert:accepted:")
    await scene.ring.traced(scene.alice, family, await scene.say("Hi", to=family), "alert:accepted:")
    await scene.reads(first)
    await scene.ring.traced(scene.alice, scene.trip, first, "clear:accepted:")
    await scene.ring.settled(scene.alice)
    for phone in phones:
        phone.go_online()
    # The iPhone was brought the last one alone.
    assert [[one.body for one in phone.tray] for phone in phones] == [["Dave: Hi"]] * 2
    for phone in phones:
        phone.go_offline()
    second = await scene.say("Hello again")
    await scene.ring.traced(scene.alice, scene.trip, second, "alert:accepted:")
    await scene.reads(second)
    await scene.ring.traced(scene.alice, scene.trip, second, "clear:accepted:")
    await scene.ring.settled(scene.alice)
    for phone in phones:
        phone.go_online()
    assert [[one.body for one in phone.tray] for phone in phones] == [["Dave: Hi"]] * 2
    assert scene.phones["ios"].rings == 1


async def test_somebody_who_looks_at_the_conversation_elsewhere_and_reads_is_not_rung(scene: Scene) -> None:
    async with scene.ring.user(scene.alice, called="Alice", data={"device": "desk"}) as alice:
        looking = {"device": "desk", "foreground": True, "conversation": scene.trip}
        assert "error" not in await alice.rpc("client.state", **looking)
        offset = await scene.say("Hello")
        await alice.rpc("read.mark", conversation=scene.trip, offset=offset)
        await scene.ring.traced(scene.alice, scene.trip, offset, "suppress:already_read")
        await scene.ring.sees(scene.alice, badge=0, rings=0)


async def test_somebody_who_looks_elsewhere_but_does_not_read_is_rung_a_moment_later(scene: Scene) -> None:
    async with scene.ring.user(scene.alice, called="Alice", data={"device": "desk"}) as alice:
        assert "error" not in await alice.rpc("client.state", device="desk", foreground=True)
        offset = await scene.say("Hello")
        await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
        await scene.ring.traced(scene.alice, scene.trip, offset, "wait:foreground_elsewhere")


# --- what somebody has asked for ---


async def test_a_muted_conversation_makes_no_sound_and_no_number_until_the_mute_is_over(scene: Scene) -> None:
    async with scene.ring.user(scene.alice, called="Alice") as alice:
        until = time.time_ns() // 1_000_000 + 600_000
        muted = await alice.rpc("conversation.set_preferences", conversation=scene.trip, muted_until=until)
        assert "error" not in muted
        offset = await scene.say("Psst")
        await scene.ring.traced(scene.alice, scene.trip, offset, "suppress:muted")
        await scene.ring.sees(scene.alice, badge=0, rings=0)
        await alice.rpc("conversation.set_preferences", conversation=scene.trip, muted_until=0)
        await scene.say("Hello")
        await scene.ring.sees(scene.alice, "2 new messages\nDave: Hello", badge=2)


async def test_what_came_while_nobody_was_to_be_disturbed_is_told_when_that_is_over(scene: Scene) -> None:
    async with scene.ring.user(scene.alice, called="Alice") as alice:
        await scene.is_not_to_be_disturbed(alice)
        offset = await scene.say("Good night")
        await scene.ring.traced(scene.alice, scene.trip, offset, "wait:do_not_disturb")
        assert {len(phone.tray) for phone in scene.phones.values()} == {0}
        assert "error" not in await alice.rpc("push.preferences", snoozed_until=0)
    await scene.ring.sees(scene.alice, "Dave: Good night", badge=1)


async def test_who_lands_where_it_is_day_is_rung_though_it_is_night_where_they_were(scene: Scene) -> None:
    # Quiet for all but an hour of the day, by the clock of wherever the phone is.
    now = time.gmtime()
    hour = 60 * ((now.tm_hour + 6) % 24)
    async with scene.ring.user(scene.alice, called="Alice") as alice:
        quiet = [{"start": (hour + 61) % 1440, "end": hour}]
        assert "error" not in await alice.rpc("push.preferences", quiet=quiet, time_zone="")
        offset = await scene.say("Good night")
        await scene.ring.traced(scene.alice, scene.trip, offset, "wait:do_not_disturb")
    for platform, phone in scene.phones.items():
        # The sign of these names is the other way round: six hours ahead of UTC.
        await scene.ring.register(scene.alice, platform, next(iter(phone.addresses)), time_zone="Etc/GMT-6")
    await scene.ring.sees(scene.alice, "Dave: Good night", badge=1)


# --- whose phone it is ---


async def test_on_a_shared_phone_only_who_signed_in_last_is_rung(scene: Scene) -> None:
    ring, bob = scene.ring, scene.ring.somebody()
    await scene.ring.stop_worker()
    offset = await scene.say("For Alice alone")
    for platform, phone in scene.phones.items():
        await ring.register(bob, platform, next(iter(phone.addresses)))
        ring.phones[bob, platform] = phone
    await ring.start_worker()
    for_bob = await group(scene.dave, bob)
    await scene.say("For Bob", to=for_bob)
    await ring.sees(bob, "Dave: For Bob", badge=1)
    await ring.settled(scene.alice)
    assert await ring.store.push_traces.of_message(scene.trip, offset, user=scene.alice) == []


async def test_a_phone_that_is_taken_over_while_a_job_waits_does_not_ring_for_who_had_it(scene: Scene) -> None:
    async with scene.ring.user(scene.alice, called="Alice") as alice:
        await scene.is_not_to_be_disturbed(alice)
        offset = await scene.say("For Alice alone")
        await scene.ring.traced(scene.alice, scene.trip, offset, "wait:do_not_disturb")
    bob = scene.ring.somebody()
    for platform, phone in scene.phones.items():
        await scene.ring.register(bob, platform, next(iter(phone.addresses)))
    await scene.ring.hurry(scene.alice)
    await scene.ring.traced(scene.alice, scene.trip, offset, "dropped:no_device")
    await scene.ring.sees(scene.alice, badge=0, rings=0)


async def test_who_has_signed_out_is_not_rung(scene: Scene) -> None:
    async with scene.ring.user(scene.alice, called="Alice") as alice:
        await scene.is_not_to_be_disturbed(alice)
        offset = await scene.say("Hello")
        await scene.ring.traced(scene.alice, scene.trip, offset, "wait:do_not_disturb")
        for platform in PLATFORMS:
            assert await alice.rpc("device.unregister", device=platform) == {}
    await scene.ring.hurry(scene.alice)
    await scene.ring.traced(scene.alice, scene.trip, offset, "dropped:no_device")
    await scene.ring.sees(scene.alice, badge=0, rings=0)


async def test_an_app_that_was_removed_is_given_up_and_is_back_when_it_registers(scene: Scene) -> None:
    address = next(iter(scene.phones["android"].addresses))
    scene.ring.lab.fcm.unregister(address)
    await scene.say("Hello")
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1, on=("ios", "web"))
    assert not await scene.ring.is_active(scene.alice, "android")
    phone = await scene.ring.get(scene.alice, "android")
    await scene.say("Are you back?")
    await scene.ring.sees(scene.alice, "2 new messages\nDave: Are you back?", badge=2, rings=2, on=("ios", "web"))
    assert [one.body for one in phone.tray] == ["2 new messages\nDave: Are you back?"]
