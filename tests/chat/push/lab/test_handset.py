"""What a person sees of what the senders send: on an iPhone, an Android and in browsers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.push.apns.payload import render
from chat.push.apns.settings import PayloadSettings
from chat.push.fcm.payload import message
from chat.push.fcm.settings import FcmSettings
from chat.push.lab.handset import BACKGROUND_LINE, Handset, Handsets, HandsetSettings
from chat.push.lab.screen import Brought
from chat.push.sending import Content, Kind, Notification, TooLarge
from chat.push.webpush.payload import Shape, payload
from support.push_words import Clock, address, notification

DAY_S = 86_400.0


class Sent:
    """Sends to a handset what its provider's sender would, byte for byte."""

    def __init__(self, platform: Any, **options: Any) -> None:
        self.clock = Clock()
        self.handset = Handset(platform, "here", clock=self.clock, **options)
        self.platform = platform

    def __call__(self, *changed: Notification, lasts_s: float = 3600.0, settings: FcmSettings | None = None) -> None:
        for what in changed:
            self.one(what, lasts_s, settings or FcmSettings())

    def one(self, what: Notification, lasts_s: float, settings: FcmSettings) -> None:
        expires_at_s = self.clock() + lasts_s
        match self.platform:
            case "ios":
                rendered = render(what, expires_at_s=expires_at_s, settings=PayloadSettings())
                assert not isinstance(rendered, TooLarge)
                self.show("apns", dict(rendered.headers), rendered.body)
            case "android":
                to = address("here")
                made = message(what, to, now_s=self.clock(), expires_at_s=expires_at_s, settings=settings)
                self.show("fcm", {}, orjson.dumps(made))
            case "web" if what.kind in (Kind.ALERT, Kind.QUIET):
                headers = {"ttl": str(int(lasts_s)), "urgency": "high", "topic": what.collapse_id}
                self.show("webpush", headers, payload(what, Shape()))

    def show(self, brought: Brought, headers: dict[str, str], body: bytes) -> None:
        self.handset.show(brought, "here", headers, body)

    @property
    def bodies(self) -> list[str]:
        return [banner.body for banner in self.handset.tray]


def nth(number: int, **changes: Any) -> Notification:
    """The one that tells up to the `number`th message."""
    made = {"job_id": f"job-{number}", "upto": number, "body": f"{number}", "badge": number}
    return notification(**{**made, **changes})


def clear(upto: int, badge: int | None = 0) -> Notification:
    return notification(kind=Kind.CLEAR, job_id=f"clear-{upto}", upto=upto, title="", body="", badge=badge)


everywhere = pytest.mark.parametrize(
    "sent",
    [
        pytest.param(partial(Sent, "ios"), id="ios"),
        pytest.param(partial(Sent, "android"), id="android"),
        pytest.param(partial(Sent, "web"), id="chrome"),
        pytest.param(partial(Sent, "web", browser="safari"), id="safari"),
    ],
)
Making = Callable[..., Sent]


@everywhere
def test_an_alert_is_shown_rings_and_sets_the_number(sent: Making) -> None:
    on = sent()
    on(nth(4))
    (banner,) = on.handset.tray
    assert (banner.title, banner.body, banner.upto) == ("Ada", "4", 4)
    assert banner.rang_at_s == on.clock()
    assert (on.handset.badge, on.handset.rings) == (4, 1)


@everywhere
def test_the_next_one_of_a_conversation_replaces_the_last_and_another_one_does_not(sent: Making) -> None:
    on = sent()
    on(nth(1), nth(2), nth(3, collapse_id="d" * 32, conversation="other"))
    assert on.bodies == ["2", "3"]
    assert on.handset.rings == 3


@everywhere
def test_a_repeated_job_rings_once(sent: Making) -> None:
    on = sent()
    on(nth(1), nth(1), nth(1))
    assert on.bodies == ["1"]
    assert on.handset.rings == 1


@everywhere
def test_a_quiet_one_replaces_without_a_sound(sent: Making) -> None:
    on = sent()
    on(nth(1))
    on.clock.pass_s(5)
    on(nth(2, kind=Kind.QUIET))
    (banner,) = on.handset.tray
    assert (banner.body, banner.rang_at_s, on.handset.rings) == ("2", on.clock() - 5, 1)


@everywhere
def test_what_is_too_old_does_not_arrive(sent: Making) -> None:
    on = sent()
    on.handset.go_offline()
    on(nth(1), lasts_s=60)
    on.clock.pass_s(61)
    on.handset.go_online()
    assert on.handset.tray == ()
    assert on.handset.rings == 0


@everywhere
def test_now_or_never_is_never_for_who_is_away(sent: Making) -> None:
    on = sent()
    on.handset.go_offline()
    on(nth(1), lasts_s=0)
    on.handset.go_online()
    assert on.handset.tray == ()


def test_an_iphone_that_was_away_gets_the_last_one_alone() -> None:
    on = Sent("ios")
    on.handset.go_offline()
    on(nth(1), nth(2, collapse_id="d" * 32), nth(3, collapse_id="e" * 32))
    on.handset.go_online()
    assert on.bodies == ["3"]
    assert (on.handset.badge, on.handset.rings) == (3, 1)


def test_an_android_that_was_away_gets_all_until_there_are_too_many() -> None:
    on = Sent("android")
    on.handset.go_offline()
    on(*(nth(number, collapse_id=f"{number:032}", conversation=str(number)) for number in range(100)))
    on.handset.go_online()
    assert len(on.handset.tray) == 100
    assert not on.handset.lost
    on.handset.go_offline()
    on(*(nth(number, job_id=f"again-{number}") for number in range(101)))
    on.handset.go_online()
    assert on.handset.lost


def test_firebase_keeps_few_collapse_keys() -> None:
    on = Sent("android")
    on.handset.go_offline()
    for number in range(6):
        data = {"kind": "alert", "job_id": f"{number}", "collapse_id": f"{number}", "body": f"{number}"}
        sent = {"token": "here", "data": data, "android": {"collapse_key": f"{number}"}}
        on.show("fcm", {}, orjson.dumps(sent))
    on.handset.go_online()
    assert on.bodies == ["2", "3", "4", "5"]


def test_a_browser_that_was_away_gets_the_last_of_each_topic() -> None:
    on = Sent("web")
    on.handset.go_offline()
    on(nth(1), nth(2, collapse_id="d" * 32), nth(3))
    on.handset.go_online()
    assert on.bodies == ["2", "3"]


@pytest.mark.parametrize("platform", ["ios", "android"])
def test_what_was_read_elsewhere_is_taken_away_and_nothing_newer(platform: str) -> None:
    on = Sent(platform)
    on(nth(2), nth(5, collapse_id="d" * 32, conversation="other"), clear(2, badge=1))
    assert on.bodies == ["5"]
    assert on.handset.badge == 1
    on(nth(3), clear(2))
    assert on.bodies == ["5", "3"]
    assert on.handset.rings == 3


def test_an_android_does_not_show_what_was_read_before_it_came() -> None:
    on = Sent("android")
    on(clear(4), nth(3))
    assert on.handset.tray == ()
    on(nth(5))
    assert on.bodies == ["5"]


def test_an_iphone_runs_an_app_a_few_times_in_an_hour() -> None:
    on = Sent("ios")
    for number in range(1, 6):
        on(nth(number), clear(number))
    assert on.bodies == ["5"]
    on.clock.pass_s(3601)
    on(clear(5))
    assert on.handset.tray == ()


def test_an_iphone_runs_no_app_that_was_ended_but_sets_its_number() -> None:
    on = Sent("ios")
    on.handset.end_app()
    on(nth(1), clear(1))
    assert on.bodies == ["1"]
    assert on.handset.badge == 0


def test_an_android_app_that_was_stopped_gets_nothing_until_it_is_opened() -> None:
    on = Sent("android")
    on.handset.end_app()
    on(nth(1))
    assert on.handset.tray == ()
    on.handset.open_app()
    on.handset.leave_app()
    on(nth(2))
    assert on.bodies == ["2"]


@pytest.mark.parametrize("platform", ["ios", "android", "web"])
def test_with_the_app_in_front_nothing_pops_up(platform: str) -> None:
    on = Sent(platform)
    on.handset.open_app()
    on(nth(1))
    assert (on.handset.tray, on.handset.rings, on.handset.badge) == ((), 0, 1)


def test_without_the_extension_an_iphone_rings_for_a_repeated_job() -> None:
    on = Sent("ios", extension="none")
    on(nth(1), nth(1))
    assert on.bodies == ["1"]
    assert on.handset.rings == 2


def sealed(told: dict[str, Any]) -> Notification:
    """Sealed by turning it around."""
    return nth(
        3, title="New message", body="You have new messages", content=Content.ENCRYPTED, sealed=orjson.dumps(told)[::-1]
    )


TOLD = {"title": "Ada", "body": "Tea?", "conversation": "secret", "upto": 3}


@everywhere
def test_what_is_sealed_is_opened_on_the_device(sent: Making) -> None:
    on = sent()
    on.handset._unseal = lambda box: box[::-1]
    on(sealed(TOLD))
    (banner,) = on.handset.tray
    assert (banner.title, banner.body, banner.conversation) == ("Ada", "Tea?", "secret")


def refusing(_: bytes) -> bytes:
    raise ValueError


@everywhere
@pytest.mark.parametrize("unseal", [refusing, lambda _: b"", lambda _: b"[5]", lambda _: b"null"])
def test_a_device_that_cannot_open_it_shows_the_line_that_says_nothing(sent: Making, unseal: Any) -> None:
    on = sent()
    on.handset._unseal = unseal
    on(sealed(TOLD))
    assert on.bodies == ["You have new messages"]


def test_an_extension_that_hangs_leaves_what_was_sent() -> None:
    on = Sent("ios", extension="hangs", unseal=lambda box: box[::-1])
    on(sealed(TOLD))
    assert on.bodies == ["You have new messages"]


def test_an_android_that_dozes_rings_for_what_is_urgent_and_hears_the_rest_later() -> None:
    on = Sent("android")
    on.handset.doze()
    on(nth(1), clear(1))
    assert on.bodies == ["1"]
    on.handset.wake()
    assert on.handset.tray == ()


def test_nothing_that_the_sender_sends_urgently_shows_nothing() -> None:
    on = Sent("android")
    on(nth(1), nth(2, kind=Kind.QUIET), clear(2), notification(kind=Kind.BADGE, job_id="b", title="", body=""))
    assert on.handset.wasted == 0
    on(nth(3), nth(3))
    assert on.handset.wasted == 1


def test_the_system_of_an_android_draws_for_an_app_that_does_not() -> None:
    on = Sent("android")
    on(nth(1), nth(2), settings=FcmSettings(display="system"))
    assert on.bodies == ["2"]
    assert (on.handset.badge, on.handset.rings) == (2, 2)


def test_safari_ends_a_subscription_that_is_used_silently() -> None:
    gone: list[str] = []
    on = Sent("web", browser="safari", on_revoked=gone.append)
    silent = orjson.dumps({"hubbub": {"kind": "clear"}})
    on.show("webpush", {"ttl": "60"}, silent)
    on.show("webpush", {"ttl": "60"}, silent)
    on(nth(1))
    for _ in range(2):
        on.show("webpush", {"ttl": "60"}, b"not JSON")
    assert not gone
    on.show("webpush", {"ttl": "60"}, silent)
    assert gone == ["here"]
    on(nth(2))
    assert on.bodies == ["1"]


def test_another_browser_shows_a_line_of_its_own() -> None:
    on = Sent("web")
    on.show("webpush", {"ttl": "60"}, b"")
    assert on.bodies == [BACKGROUND_LINE]


def test_a_background_push_with_something_to_see_is_dropped() -> None:
    on = Sent("ios")
    body = orjson.dumps({"aps": {"content-available": 1, "badge": 3, "alert": "hello"}})
    on.show("apns", {"apns-push-type": "background"}, body)
    assert (on.handset.tray, on.handset.badge) == ((), 0)


@pytest.mark.parametrize("platform", ["ios", "android", "web"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"aps": 5, "data": 5, "notification": 5}', b"\xff"])
def test_nothing_that_arrives_breaks_a_handset(platform: str, body: bytes) -> None:
    on = Sent(platform)
    for brought in ("apns", "fcm", "webpush", "webhook"):
        on.show(brought, {}, body)


def test_what_is_read_or_dismissed_by_hand_is_gone() -> None:
    on = Sent("android")
    on(nth(1), nth(2, collapse_id="d" * 32, conversation="other"))
    on.handset.read("other", 2, badge=1)
    assert on.bodies == ["1"]
    assert on.handset.badge == 1
    on.handset.dismiss()
    assert on.handset.tray == ()


def test_all_of_them_get_what_is_for_them() -> None:
    clock, screen = Clock(), Handsets()
    first = screen.add(Handset("android", "a", clock=clock))
    second = screen.add(Handset("android", "b", "c", clock=clock))
    for number, to in enumerate(["a", "b", "c", "nobody"]):
        made = message(nth(number + 1), address(to), now_s=clock(), expires_at_s=clock() + 60, settings=FcmSettings())
        screen.show("fcm", to, {}, orjson.dumps(made))
    assert (first.badge, second.badge) == (1, 3)
    screen.remove(second)
    screen.show("fcm", "b", {}, orjson.dumps({"data": {"kind": "badge", "badge": "9"}}))
    assert second.badge == 3


# What happens to a phone, in any order. Times go on by a second each.
Step = tuple[str, int]
steps = st.lists(
    st.tuples(st.sampled_from(["alert", "quiet", "clear", "off", "on", "open", "leave", "again"]), st.integers(0, 2)),
    # Firebase would drop more than a hundred, also of what is repeated.
    max_size=24,
)


def played(on: Sent, happening: list[Step], *, repeat: int = 1) -> None:
    """`repeat`: how often each push is sent; the number after a step is the conversation."""
    sent: list[Notification] = []
    for number, (step, conversation) in enumerate(happening, start=1):
        on.clock.pass_s(1)
        where = {"collapse_id": f"{conversation:032}", "conversation": f"{conversation}"}
        match step:
            case "alert" | "quiet":
                sent.append(nth(number, kind=Kind(step), **where))
                for _ in range(repeat):
                    on(sent[-1], lasts_s=DAY_S)
            case "clear":
                for _ in range(repeat):
                    on(notification(kind=Kind.CLEAR, job_id=f"clear-{number}", upto=number, badge=None, **where))
            case "again" if sent:
                on(sent[-1], lasts_s=DAY_S)
            case "off":
                on.handset.go_offline()
            case "on":
                on.handset.go_online()
            case "open":
                on.handset.open_app()
            case "leave":
                on.handset.leave_app()
    on.handset.go_online()


@everywhere
@given(happening=steps)
def test_there_is_one_banner_for_a_conversation_at_most_and_it_rings_for_an_alert_at_most_once(
    sent: Making, happening: list[Step]
) -> None:
    on = sent()
    played(on, happening)
    collapsed = [banner.collapse for banner in on.handset.tray]
    assert len(collapsed) == len(set(collapsed))
    assert on.handset.rings <= sum(step == "alert" for step, _ in happening)
    assert not on.handset.revoked


@everywhere
@given(happening=steps, repeat=st.integers(2, 4))
def test_what_is_sent_more_than_once_looks_and_sounds_as_if_it_was_sent_once(
    sent: Making, happening: list[Step], repeat: int
) -> None:
    # An iPhone that has run an app so often in an hour does not do so again: not even for what is new.
    settings = HandsetSettings(background_per_hour=10_000)
    once, often = sent(settings=settings), sent(settings=settings)
    played(once, happening)
    played(often, happening, repeat=repeat)
    assert [(one.body, one.conversation) for one in often.handset.tray] == [
        (one.body, one.conversation) for one in once.handset.tray
    ]
    assert (often.handset.rings, often.handset.badge) == (once.handset.rings, once.handset.badge)


@everywhere
@given(uptos=st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_while_it_is_away_nothing_rings_and_then_what_is_shown_is_the_newest(sent: Making, uptos: list[int]) -> None:
    on = sent()
    on.handset.go_offline()
    for upto in uptos:
        on(nth(upto))
    assert (on.handset.tray, on.handset.rings) == ((), 0)
    on.handset.go_online()
    assert len(on.handset.tray) == 1
    newest = max(uptos) if on.platform == "android" else uptos[-1]
    assert on.bodies == [f"{newest}"]


@given(happening=steps)
def test_on_an_android_what_was_cleared_is_never_shown(happening: list[Step]) -> None:
    on = Sent("android")
    played(on, happening)
    for conversation in range(3):
        cleared = [number for number, step in enumerate(happening, start=1) if step == ("clear", conversation)]
        for banner in on.handset.tray:
            assert banner.conversation != f"{conversation}" or banner.upto > max(cleared, default=0)
