"""Providers that are silent, break off, answer too late or ask for time: one banner all the same, and one sound."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from chat.push.lab import apns_faults as apns
from chat.push.lab import fcm_answers, webpush
from chat.push.lab.fcm import Fault as FcmFault
from support.ringing import PLATFORMS, Ringing
from support.talking import group, say
from support.waiting import PATIENCE_S, eventually
from support.wire_client import WireClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED_STREAM, INTERNAL_ERROR = 7, 2
BUSY = (("retry-after", "1"),)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong once, with each provider."""

    apple: apns.Fault
    firebase: FcmFault
    browsers: webpush.Fault


TROUBLES = {
    "silent": Trouble(apns.NeverAnswer(), FcmFault(hang=True), webpush.HANG),
    "taken and silent": Trouble(apns.Hold(), FcmFault(hang=True, taken=True), webpush.Fault(hang=True, taken=True)),
    "reset": Trouble(apns.Reset(REFUSED_STREAM), FcmFault(reset_after_bytes=0), webpush.RESET),
    "taken and reset": Trouble(apns.Cut("whole"), FcmFault(reset_after_bytes=5), webpush.Fault(reset=True, taken=True)),
    "reset in the middle of the answer": Trouble(
        apns.Reset(INTERNAL_ERROR, after_headers=True), FcmFault(reset_after_bytes=20), webpush.RESET
    ),
    "asks for time": Trouble(
        apns.Answer(503, "ServiceUnavailable", headers=BUSY),
        FcmFault(lambda: fcm_answers.unavailable("1")),
        webpush.busy(429, "1"),
    ),
    "does not say for how long": Trouble(
        apns.Answer(500, "InternalServerError"), FcmFault(fcm_answers.html), webpush.busy(503)
    ),
}


@dataclass
class Scene:
    ring: Ringing
    alice: str
    dave: WireClient
    trip: str

    async def hello(self) -> int:
        return int((await say(self.dave, self.trip, "Hello"))["message"]["offset"])


@pytest_asyncio.fixture(loop_scope="module")
async def scene(ring: Ringing) -> AsyncIterator[Scene]:
    alice = ring.somebody()
    await ring.everything(alice)
    async with ring.user(ring.somebody(), called="Dave") as dave:
        yield Scene(ring, alice, dave, await group(dave, alice, title="Trip"))


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_there_is_one_banner_and_one_sound_although_the_provider_is(scene: Scene, trouble: str) -> None:
    lab, wrong = scene.ring.lab, TROUBLES[trouble]
    lab.apns["production"].script(wrong.apple)
    lab.fcm.fail(wrong.firebase)
    lab.webpush.fail(wrong.browsers)
    asked = lab.fcm.counts.requests
    await scene.hello()
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
    assert lab.fcm.counts.requests == asked + 2
    assert lab.apns["production"].violations == []


@pytest.mark.parametrize("fault", [apns.Leave(covers=False), apns.Leave(), apns.Leave(close=True), apns.Cut("whole")])
async def test_a_connection_that_apple_ends_costs_no_banner(scene: Scene, fault: apns.Fault) -> None:
    scene.ring.lab.apns["production"].script(fault)
    await scene.hello()
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)


async def test_one_that_apple_has_taken_before_it_ended_the_connection_rings_once(scene: Scene) -> None:
    apple, phone = scene.ring.lab.apns["production"], scene.ring.phones[scene.alice, "ios"]
    apple.script(apns.Hold())
    taken = len(apple.arrived)
    await scene.hello()
    await eventually(lambda: phone.tray)
    apple.cut()
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
    assert len(apple.arrived) == taken + 2


async def test_connections_that_die_without_a_word_are_replaced(scene: Scene) -> None:
    await scene.hello()
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)
    scene.ring.lab.apns["production"].deafen()
    await say(scene.dave, scene.trip, "Still there?")
    await scene.ring.sees(scene.alice, "2 new messages\nDave: Still there?", badge=2, rings=2)


async def test_firebase_without_access_tokens_is_waited_for(scene: Scene) -> None:
    lab = scene.ring.lab.fcm
    lab.revoke_tokens()
    lab.fail_token(FcmFault(lambda: fcm_answers.unavailable()))
    await scene.hello()
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)


async def test_one_that_fails_again_and_again_rings_once_when_it_is_over(scene: Scene) -> None:
    lab = scene.ring.lab
    lab.apns["production"].script(apns.Hold(), apns.Answer(503, "Shutdown", headers=BUSY))
    lab.fcm.fail(FcmFault(hang=True, taken=True))
    lab.fcm.fail(FcmFault(lambda: fcm_answers.quota_exceeded("1")))
    lab.webpush.fail(webpush.Fault(reset=True, taken=True), webpush.busy(429, "1"))
    await scene.hello()
    await scene.ring.sees(scene.alice, "Dave: Hello", badge=1)


async def test_a_banner_that_is_read_elsewhere_before_the_provider_answers_goes(scene: Scene) -> None:
    apple = scene.ring.lab.apns["production"]
    apple.script(apns.Hold())
    offset = await scene.hello()
    phone = scene.ring.phones[scene.alice, "ios"]
    await eventually(lambda: phone.tray)
    async with scene.ring.user(scene.alice, called="Alice") as alice:
        await alice.rpc("read.mark", conversation=scene.trip, offset=offset)
    apple.release()
    await scene.ring.sees(scene.alice, badge=0, on=("ios",))


@pytest.mark.parametrize("moment", ["while it is sent", "before it is sent again"])
async def test_what_is_edited_before_the_provider_has_answered_is_shown_as_it_is_now_and_rings_once(
    scene: Scene, moment: str
) -> None:
    lab = scene.ring.lab
    lab.apns["production"].script(apns.Hold())
    lab.fcm.fail(FcmFault(hang=True, taken=True))
    lab.webpush.fail(webpush.Fault(hang=True, taken=True))
    offset = int((await say(scene.dave, scene.trip, "Meet at siz"))["message"]["offset"])
    phones = [scene.ring.phones[scene.alice, platform] for platform in PLATFORMS]
    await eventually(lambda: all(phone.tray for phone in phones))
    if moment == "before it is sent again":
        await scene.ring.traced(scene.alice, scene.trip, offset, "alert:unknown:deadline")
    await scene.dave.rpc("message.edit", conversation=scene.trip, offset=offset, text="Meet at six")
    await scene.ring.sees(scene.alice, "Dave: Meet at six", badge=1)


async def test_a_banner_goes_that_was_read_elsewhere_after_it_was_given_up(scene: Scene) -> None:
    lab, ring = scene.ring.lab, scene.ring
    before = len(await ring.store.push_jobs.dead(limit=100))
    lab.apns["production"].always = apns.Hold()
    for _ in range(5):
        lab.fcm.fail(FcmFault(hang=True, taken=True))
    offset = await scene.hello()

    async def is_given_up() -> bool:
        await ring.hurry(scene.alice)
        return len(await ring.store.push_jobs.dead(limit=100)) == before + 2

    await eventually(is_given_up, within_s=2 * PATIENCE_S)
    lab.apns["production"].always = None
    await ring.sees(scene.alice, "Dave: Hello", badge=1)
    async with ring.user(scene.alice, called="Alice") as alice:
        await alice.rpc("read.mark", conversation=scene.trip, offset=offset)
    await ring.sees(scene.alice, badge=0, on=("ios", "android"))


async def test_a_banner_goes_that_was_read_elsewhere_though_the_provider_never_said_that_it_took_it(
    scene: Scene,
) -> None:
    lab = scene.ring.lab
    lab.apns["production"].script(apns.Hold())
    lab.fcm.fail(FcmFault(hang=True, taken=True))
    offset = await scene.hello()
    phones = [scene.ring.phones[scene.alice, platform] for platform in PLATFORMS]
    await eventually(lambda: all(phone.tray for phone in phones))
    async with scene.ring.user(scene.alice, called="Alice") as alice:
        await alice.rpc("read.mark", conversation=scene.trip, offset=offset)
    await scene.ring.sees(scene.alice, badge=0, on=("ios", "android"))
