"""The demo phones: what a page is told of them, and what can be done with them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from chat.push.lab.handset import Handset
from chat.push.lab.phones import NotOfThisPhone, Phone, Phones, SeenPhone, Switch
from support.push_words import Clock
from support.waiting import PATIENCE_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def phones(clock: Clock) -> Phones:
    phones = Phones(clock=clock)
    phones.add(Phone("iphone", "Alice's iPhone", "alice", Handset("ios", "apple", clock=clock)))
    phones.add(Phone("android", "Bob's Android", "bob", Handset("android", "google", clock=clock)))
    return phones


def alert(body: str, *, job: str = "job-1", badge: int = 1, collapse: str = "c1", sound: bool = True) -> dict[str, Any]:
    return {
        "headers": {"apns-push-type": "alert", "apns-collapse-id": collapse},
        "payload": orjson.dumps(
            {
                "aps": {
                    "alert": {"title": "Bob", "body": body},
                    "badge": badge,
                    "mutable-content": 1,
                    **({"sound": "default"} if sound else {}),
                },
                "job_id": job,
                "kind": "alert",
                "conversation": "conv-1",
                "upto": 7,
            }
        ),
    }


def comes(phones: Phones, pushed: Mapping[str, Any], address: str = "apple") -> None:
    phones.show("apns", address, pushed["headers"], pushed["payload"])


def iphone(phones: Phones) -> SeenPhone:
    return phones.seen().phones[0]


def log(phones: Phones) -> list[tuple[str, str]]:
    return [(line.what, line.text) for line in iphone(phones).log]


def test_what_is_on_the_screen_and_when_it_rang(phones: Phones, clock: Clock) -> None:
    comes(phones, alert("Tea?"))
    (banner,) = iphone(phones).banners
    at = int(clock() * 1000)
    assert (banner.title, banner.body, banner.conversation) == ("Bob", "Tea?", "conv-1")
    assert (banner.shown_at, banner.rang_at) == (at, at)
    assert (iphone(phones).badge, iphone(phones).rings) == (1, 1)
    assert log(phones) == [("rang", "Bob: Tea?")]


def test_a_replacement_keeps_its_place_and_says_when_it_rang(phones: Phones, clock: Clock) -> None:
    comes(phones, alert("Tea?"))
    before = iphone(phones).banners[0]
    clock.pass_s(5)
    comes(phones, alert("Tea, or coffee?", job="job-2", sound=False))
    (banner,) = iphone(phones).banners
    assert (banner.key, banner.rang_at) == (before.key, before.rang_at)
    assert banner.shown_at == before.shown_at + 5000
    assert log(phones) == [("replaced", "Bob: Tea, or coffee?"), ("rang", "Bob: Tea?")]


def test_those_that_replace_nothing_are_told_apart(phones: Phones) -> None:
    comes(phones, alert("Tea?", collapse=""))
    comes(phones, alert("Tea!", job="job-2", collapse=""))
    assert [banner.body for banner in iphone(phones).banners] == ["Tea!", "Tea?"]
    assert len({banner.key for banner in iphone(phones).banners}) == 2


def test_what_was_read_elsewhere_is_cleared(phones: Phones) -> None:
    comes(phones, alert("Tea?"))
    clear = {"aps": {"content-available": 1}, "kind": "clear", "job_id": "j", "conversation": "conv-1", "upto": 7}
    phones.show("apns", "apple", {"apns-push-type": "background"}, orjson.dumps(clear))
    assert iphone(phones).banners == ()
    assert log(phones)[0] == ("cleared", "Bob: Tea?")


def test_the_number_alone(phones: Phones) -> None:
    phones.show("apns", "apple", {"apns-push-type": "alert"}, b'{"aps": {"badge": 4}}')
    assert (iphone(phones).badge, log(phones)) == (4, [("badge", "4")])


def test_a_phone_without_a_network_gets_it_when_it_is_back(phones: Phones) -> None:
    phones.switch("iphone", Switch.OFFLINE)
    assert iphone(phones).switches == {"offline": True, "pocket": True, "ended": False}
    comes(phones, alert("Tea?"))
    assert iphone(phones).banners == ()
    assert log(phones)[0] == ("away", "")
    phones.switch("iphone", Switch.OFFLINE)
    assert [one.body for one in iphone(phones).banners] == ["Tea?"]
    assert [what for what, _ in log(phones)] == ["rang", "switched", "away", "switched"]


def test_what_is_in_front_shows_nothing(phones: Phones) -> None:
    phones.switch("iphone", Switch.POCKET)
    comes(phones, alert("Tea?", badge=0))
    assert iphone(phones).banners == ()
    assert log(phones)[0] == ("nothing", "")


def test_a_stopped_app_is_opened_again(phones: Phones) -> None:
    phones.switch("android", Switch.ENDED)
    assert phones.seen().phones[1].switches["ended"]
    phones.switch("android", Switch.ENDED)
    assert phones.seen().phones[1].switches == {"offline": False, "pocket": True, "ended": False, "dozing": False}


def test_a_tray_can_be_swept(phones: Phones) -> None:
    comes(phones, alert("Tea?"))
    phones.switch("iphone", Switch.DISMISS)
    assert iphone(phones).banners == ()
    assert [what for what, _ in log(phones)] == ["cleared", "switched", "rang"]


def test_there_are_the_switches_of_the_platform(phones: Phones) -> None:
    with pytest.raises(NotOfThisPhone):
        phones.switch("iphone", Switch.DOZING)
    with pytest.raises(KeyError):
        phones.switch("nobody", Switch.OFFLINE)


def test_others_addresses_are_passed_over(phones: Phones) -> None:
    version = phones.seen().version
    comes(phones, alert("Tea?"), address="unknown")
    assert phones.seen().version == version


async def test_who_waits_is_told_at_once(phones: Phones) -> None:
    version = phones.seen().version
    waiting = asyncio.create_task(phones.changed(version, within_s=PATIENCE_S))
    await asyncio.sleep(0)
    comes(phones, alert("Tea?"))
    seen = await waiting
    assert seen is not None
    assert seen.version != version
    assert seen.phones[0].rings == 1
    assert await phones.changed(seen.version, within_s=0) is None
