"""What a notification is for APNs: headers that fit its kind, and JSON that fits in 4096 bytes."""

import base64
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.push.apns.payload import Rendered, apns_id, path_of, render
from chat.push.apns.settings import PayloadSettings
from chat.push.sending import COLLAPSE_ID_LENGTH, Content, Kind, Notification, TooLarge
from support.apns_lab import NOW_S, notification

SETTINGS = PayloadSettings()


def _rendered(one: Notification, settings: PayloadSettings = SETTINGS) -> tuple[dict[str, str], dict[str, Any]]:
    rendered = render(one, expires_at_s=NOW_S + 0.9, settings=settings)
    assert isinstance(rendered, Rendered)
    assert len({name for name, _ in rendered.headers}) == len(rendered.headers)
    return dict(rendered.headers), json.loads(rendered.body)


def test_an_alert_rings_and_replaces_the_one_before() -> None:
    one = notification(job_id="job-1", actions=True, link="https://example.org/c/1")
    headers, payload = _rendered(one)
    assert headers == {
        "apns-id": apns_id(one),
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": str(int(NOW_S)),
        "apns-collapse-id": one.collapse_id,
    }
    assert payload == {
        "aps": {
            "alert": {"title": "Ada", "body": "Hello"},
            "badge": 3,
            "sound": "default",
            "mutable-content": 1,
            "thread-id": one.collapse_id,
            "interruption-level": "active",
            "category": "hubbub.message",
        },
        "kind": "alert",
        "content": "full",
        "job_id": "job-1",
        "collapse_id": one.collapse_id,
        "conversation": "conversation-1",
        "upto": 7,
        "link": "https://example.org/c/1",
    }


@pytest.mark.parametrize("content", Content)
def test_what_says_nothing_of_the_message_can_be_said_by_the_app(content: Content) -> None:
    _, payload = _rendered(notification(content=content), PayloadSettings(own_texts=True))
    own = {"title-loc-key": "hubbub_title", "loc-key": "hubbub_body"}
    says_something = content in (Content.FULL, Content.SENDER_ONLY)
    assert payload["aps"]["alert"] == ({"title": "Ada", "body": "Hello"} if says_something else own)


def test_quiet_replaces_without_a_sound() -> None:
    headers, payload = _rendered(notification(kind=Kind.QUIET))
    assert headers["apns-priority"] == "5"
    assert headers["apns-push-type"] == "alert"
    assert "apns-collapse-id" in headers
    assert "sound" not in payload["aps"]
    assert payload["aps"]["interruption-level"] == "passive"


def test_an_alert_without_sound_is_still_an_alert() -> None:
    headers, payload = _rendered(notification(sound=False))
    assert headers["apns-priority"] == "10"
    assert "sound" not in payload["aps"]


def test_what_is_not_kept_for_a_phone_that_is_away_is_brought_now_or_never() -> None:
    headers, _ = _rendered(notification(kind=Kind.BADGE, kept=False))
    assert headers["apns-expiration"] == "0"


def test_clear_takes_the_number_along_and_wakes_the_app() -> None:
    headers, payload = _rendered(notification(kind=Kind.CLEAR, badge=0))
    assert (headers["apns-push-type"], headers["apns-priority"]) == ("alert", "5")
    assert payload["aps"] == {"badge": 0, "content-available": 1}
    assert payload["kind"] == "clear"
    assert payload["conversation"] == "conversation-1"


def test_clear_without_a_number_is_a_background_push() -> None:
    headers, payload = _rendered(notification(kind=Kind.CLEAR, badge=None))
    assert (headers["apns-push-type"], headers["apns-priority"]) == ("background", "5")
    assert payload["aps"] == {"content-available": 1}


def test_badge_is_a_number_and_replaces_nothing() -> None:
    headers, payload = _rendered(notification(kind=Kind.BADGE, badge=12))
    assert "apns-collapse-id" not in headers
    assert payload == {"aps": {"badge": 12}, "kind": "badge"}


def test_no_badge_leaves_the_number_alone() -> None:
    assert "badge" not in _rendered(notification(badge=None))[1]["aps"]


def test_a_group_may_break_through_where_the_app_is_entitled_to_it() -> None:
    settings = PayloadSettings(mention_level="time-sensitive")
    assert _rendered(notification(group="mention"), settings)[1]["aps"]["interruption-level"] == "time-sensitive"
    assert _rendered(notification(group="group"), settings)[1]["aps"]["interruption-level"] == "active"


def test_encrypted_shows_nothing_but_what_is_sealed() -> None:
    sealed = bytes(range(200))
    one = notification(content=Content.ENCRYPTED, sealed=sealed, title="", body="New message", link="https://x.example")
    _, payload = _rendered(one)
    assert payload["aps"]["mutable-content"] == 1
    assert base64.urlsafe_b64decode(payload["sealed"] + "=" * (-len(payload["sealed"]) % 4)) == sealed
    assert not {"conversation", "upto", "link"} & payload.keys()


def test_what_is_sealed_is_never_cut() -> None:
    one = notification(content=Content.ENCRYPTED, sealed=bytes(4000), body="x")
    assert isinstance(render(one, expires_at_s=NOW_S, settings=SETTINGS), TooLarge)


def test_ids_are_the_same_for_every_attempt_and_differ_between_jobs() -> None:
    assert apns_id(notification(job_id="a")) == apns_id(notification(job_id="a", body="changed"))
    assert apns_id(notification(job_id="a")) != apns_id(notification(job_id="b"))
    assert str(uuid.UUID(apns_id(notification(job_id="a")))) == apns_id(notification(job_id="a"))


TEXTS = st.one_of(
    st.text(max_size=50),
    st.text(alphabet=st.characters(), max_size=20).map(lambda one: one * 400),
    st.text(alphabet='"\\\n\x00\x1f é€😀👨‍👩‍👧', max_size=30).map(lambda one: one * 200),
    st.text(alphabet=st.characters(categories=["Cs"]), max_size=5),
)
NOTIFICATIONS = st.builds(
    Notification,
    kind=st.sampled_from(Kind),
    job_id=st.text(alphabet="abcdef0123456789", min_size=1, max_size=40),
    collapse_id=st.text(alphabet="abcXYZ012-_", min_size=COLLAPSE_ID_LENGTH, max_size=COLLAPSE_ID_LENGTH),
    conversation=st.text(alphabet="abcdef234567", min_size=26, max_size=26),
    upto=st.integers(0, 2**53),
    title=TEXTS,
    body=TEXTS,
    badge=st.none() | st.integers(0, 10**6),
    sound=st.booleans(),
    content=st.sampled_from(Content),
    actions=st.booleans(),
    group=st.sampled_from(["direct", "mention", "group"]),
    link=st.just("") | st.just("https://example.org/c"),
    sealed=st.none() | st.binary(max_size=3000),
)


@given(NOTIFICATIONS)
def test_whatever_it_is_it_fits_or_is_said_not_to(one: Notification) -> None:
    rendered = render(one, expires_at_s=NOW_S, settings=SETTINGS)
    if isinstance(rendered, TooLarge):
        assert one.sealed is not None
        assert len(one.sealed) > 2000
        return
    assert 0 < len(rendered.body) <= 4096
    payload = json.loads(rendered.body.decode("utf-8", "strict"))
    headers = dict(rendered.headers)
    assert len(headers.get("apns-collapse-id", "").encode()) <= 64
    # A phone drops what is of another kind than it says.
    shown = {"alert", "badge", "sound"} & payload["aps"].keys()
    assert bool(shown) is (headers["apns-push-type"] == "alert")
    if headers["apns-push-type"] == "background":
        assert headers["apns-priority"] == "5"
    alert = payload["aps"].get("alert", {})
    for name, whole in (("title", one.title), ("body", one.body)) if alert else ():
        text = alert.get(name, "")
        clean = whole.encode("utf-8", "replace").decode()
        assert text == clean or (text.endswith("…") and clean.startswith(text[:-1]))


@given(st.text(alphabet="é€😀x\n", min_size=30, max_size=50).map(lambda one: one * 100))
def test_as_much_of_a_long_text_is_kept_as_fits(body: str) -> None:
    one = notification(body=body)
    rendered = render(one, expires_at_s=NOW_S, settings=SETTINGS)
    assert isinstance(rendered, Rendered)
    if json.loads(rendered.body)["aps"]["alert"]["body"] != body:
        # Nothing but blanks at the end may have been left out beside the character that did not fit.
        kept = json.loads(rendered.body)["aps"]["alert"]["body"][:-1]
        gap = len(body[len(kept) :]) - len(body[len(kept) :].lstrip())
        assert len(rendered.body) > 4096 - 4 - 2 * gap - 4
        assert json.loads(rendered.body)["aps"]["alert"]["title"] == "Ada"


def test_a_joined_character_is_not_cut_in_two() -> None:
    family = "👨‍👩‍👧"
    for size in range(300, 340):
        rendered = render(
            notification(body=family * 300), expires_at_s=NOW_S, settings=PayloadSettings(max_bytes=size + 200)
        )
        assert isinstance(rendered, Rendered)
        assert "\u200d…" not in rendered.body.decode()


@pytest.mark.parametrize("token", ["a/../../b", "a?b#c", "a b", "é\r\n"])
def test_a_token_cannot_leave_its_place_in_the_path(token: str) -> None:
    path = path_of(token)
    assert path.startswith("/3/device/")
    assert path.isascii()
    assert not set(path.removeprefix("/3/device/")) & set("/?# \r\n")
