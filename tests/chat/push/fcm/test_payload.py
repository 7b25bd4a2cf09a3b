"""What is sent to Firebase for a notification."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.push.fcm.payload import TooMuch, empty_message, message
from chat.push.fcm.settings import FcmSettings
from chat.push.lab.fcm_schema import check_request
from chat.push.sending import Content, Kind, Notification
from support.push_words import address, notification

NOW_S = 1_800_000_000.0
APP = FcmSettings()
SYSTEM = FcmSettings(display="system")


def made(what: Notification, settings: FcmSettings = APP, *, lasts_s: float = 3600.0, **to: Any) -> dict[str, Any]:
    return message(what, address("token", **to), now_s=NOW_S, expires_at_s=NOW_S + lasts_s, settings=settings)


def test_an_app_gets_everything_as_data_and_draws_it_itself() -> None:
    assert made(notification(actions=True, link="https://chat.example/c/1")) == {
        "token": "token",
        "data": {
            "kind": "alert",
            "job_id": "job-1",
            "collapse_id": "c" * 32,
            "conversation": "01hzzzzzzzzzzzzzzzzzzzzzzz",
            "upto": "7",
            "content": "full",
            "title": "Ada",
            "body": "Tea at five?",
            "link": "https://chat.example/c/1",
            "badge": "4",
            "channel": "direct",
            "sound": "1",
            "actions": "reply,read",
        },
        "android": {"priority": "HIGH", "ttl": "3600s"},
    }


def test_a_system_that_draws_gets_a_tag_a_channel_and_the_number() -> None:
    whole = made(notification(), SYSTEM)
    assert whole["notification"] == {"title": "Ada", "body": "Tea at five?"}
    assert whole["android"]["notification"] == {
        "channel_id": "direct",
        "tag": "c" * 32,
        "notification_priority": "PRIORITY_HIGH",
        "default_sound": True,
        "notification_count": 4,
    }
    assert whole["apns"]["headers"] == {"apns-collapse-id": "c" * 32, "apns-expiration": str(int(NOW_S) + 3600)}
    assert whole["apns"]["payload"]["aps"] == {
        "thread-id": "c" * 32,
        "mutable-content": 1,
        "sound": "default",
        "badge": 4,
    }


@pytest.mark.parametrize("settings", [APP, SYSTEM])
@pytest.mark.parametrize("kind", [Kind.CLEAR, Kind.BADGE])
def test_what_shows_nothing_is_not_urgent_and_never_drawn(kind: Kind, settings: FcmSettings) -> None:
    whole = made(notification(kind=kind, title="", body=""), settings)
    assert whole["android"] == {"priority": "NORMAL", "ttl": "3600s"}
    assert "notification" not in whole
    assert "sound" not in whole["data"]


def test_what_replaces_quietly_makes_no_sound() -> None:
    whole = made(notification(kind=Kind.QUIET), SYSTEM)
    assert whole["android"]["priority"] == "NORMAL"
    assert whole["data"]["sound"] == "0"
    assert "default_sound" not in whole["android"]["notification"]
    assert "sound" not in whole["apns"]["payload"]["aps"]


def test_an_installation_is_addressed_as_one() -> None:
    whole = made(notification(), kind="fid")
    assert whole["fid"] == "token"
    assert "token" not in whole
    assert empty_message(address("f", kind="fid")) == {"fid": "f", "data": {}}


@pytest.mark.parametrize(("lasts_s", "ttl"), [(90.9, "90s"), (0.0, "0s"), (-5.0, "0s"), (10_000_000.0, "2419200s")])
def test_how_long_it_is_kept_is_within_what_may_be_asked(lasts_s: float, ttl: str) -> None:
    assert made(notification(), lasts_s=lasts_s)["android"]["ttl"] == ttl


def test_the_channel_of_a_group_can_be_set() -> None:
    whole = made(notification(group="mention"), FcmSettings(channels={"mention": "at_me"}))
    assert whole["data"]["channel"] == "at_me"
    assert made(notification(group="group"), FcmSettings(channels={}))["data"]["channel"] == "group"


def test_what_is_sealed_goes_along_and_nothing_tells_of_the_conversation() -> None:
    whole = made(notification(content=Content.ENCRYPTED, title="", body="New message", sealed=b"\xff\xfe" * 5))
    assert whole["data"] == {
        "kind": "alert",
        "job_id": "job-1",
        "collapse_id": "c" * 32,
        "content": "encrypted",
        "body": "New message",
        "badge": "4",
        "channel": "direct",
        "sound": "1",
        "sealed": "__7__v_-__7__g",
    }


def test_half_a_pair_of_surrogates_does_not_break_the_message() -> None:
    assert made(notification(body="a\ud800b"))["data"]["body"] == "a?b"


def test_a_long_body_is_cut_where_it_may_be() -> None:
    whole = made(notification(body="é" * 5000))
    assert whole["data"]["body"].endswith("…")
    assert 4090 <= len(orjson.dumps([whole["data"]])) <= 4096
    assert whole["data"]["title"] == "Ada"


def test_what_is_sealed_and_does_not_fit_has_to_be_sealed_anew() -> None:
    with pytest.raises(TooMuch):
        made(notification(body="New message", content=Content.ENCRYPTED, sealed=bytes(4000)))


def test_what_does_not_fit_without_its_texts_is_too_much() -> None:
    with pytest.raises(TooMuch):
        made(notification(collapse_id="c" * 5000))


texts = st.text(max_size=3000) | st.text(alphabet='"\\\n\x00é😀👩‍👧', max_size=3000)
notifications = st.builds(
    Notification,
    kind=st.sampled_from(Kind),
    job_id=st.text("abc-", min_size=1, max_size=64),
    collapse_id=st.text("abc", min_size=32, max_size=32),
    conversation=st.text("abc", min_size=26, max_size=26),
    upto=st.integers(0, 2**53),
    title=texts,
    body=texts,
    badge=st.none() | st.integers(0, 10_000),
    sound=st.booleans(),
    content=st.sampled_from(Content),
    actions=st.booleans(),
    group=st.sampled_from(["direct", "mention", "group"]),
    link=st.just("") | st.text("abc/:", max_size=2000),
    sealed=st.none() | st.binary(max_size=2000),
)


@given(notifications, st.sampled_from(["app", "system"]), st.sampled_from(["token", "fid"]), st.floats(-1e9, 1e9))
def test_whatever_is_notified_of_keeps_to_every_rule_of_the_vendor(
    what: Notification, display: Any, kind: str, lasts_s: float
) -> None:
    whole = made(what, FcmSettings(display=display), lasts_s=lasts_s, kind=kind)
    assert check_request(orjson.dumps({"message": whole}), "application/json")["message"] == whole
    assert "collapse_key" not in whole["android"]
    for name, value in whole["data"].items():
        assert isinstance(value, str)
        assert not re.match("from$|message_type$|collapse_key$|gcm|google", name)
    if "body" in whole["data"]:
        shown = whole["data"]["body"]
        assert shown == what.body or (shown.endswith("…") and what.body.startswith(shown[:-1]))
