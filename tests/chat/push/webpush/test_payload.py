"""What a browser is told: one shape for all of them, never silent, never longer than it may be."""

import base64
import dataclasses

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.push.sending import Content, Kind, Notification
from chat.push.webpush.encryption import MAX_PLAINTEXT_BYTES, TooLong
from chat.push.webpush.payload import SHOWN, Shape, cut, payload

ALERT = Notification(
    kind=Kind.ALERT,
    job_id="3c7f",
    collapse_id="c" * 32,
    conversation="01h455vb4pex5vsknk084sn02q",
    upto=41,
    title="Ann",
    body="Lunch?",
    badge=4,
    actions=True,
    group="direct",
    link="https://chat.example.com/c/1",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def test_everything_that_is_to_be_seen_is_in_the_declarative_shape() -> None:
    assert orjson.loads(payload(ALERT, Shape())) == {
        "web_push": 8030,
        "notification": {
            "title": "Ann",
            "body": "Lunch?",
            "tag": "c" * 32,
            "renotify": True,
            "navigate": "https://chat.example.com/c/1",
        },
        "mutable": True,
        "app_badge": 4,
        "hubbub": {
            "job_id": "3c7f",
            "kind": "alert",
            "conversation": "01h455vb4pex5vsknk084sn02q",
            "upto": 41,
            "content": "full",
            "group": "direct",
            "actions": True,
        },
    }


@pytest.mark.parametrize(
    "change", [{"kind": Kind.QUIET}, {"sound": False}, {"kind": Kind.QUIET, "sound": False}], ids=str
)
def test_a_quiet_one_is_seen_and_not_heard(change: dict[str, object]) -> None:
    shown = orjson.loads(payload(dataclasses.replace(ALERT, **change), Shape()))["notification"]  # type: ignore[arg-type]
    assert shown["silent"] is True
    assert "renotify" not in shown
    assert shown["title"]


@pytest.mark.parametrize("kind", [Kind.CLEAR, Kind.BADGE])
def test_nothing_silent_is_made(kind: Kind) -> None:
    assert kind not in SHOWN
    with pytest.raises(ValueError, match="silent"):
        payload(dataclasses.replace(ALERT, kind=kind), Shape())


def test_a_badge_of_zero_is_said_and_none_is_not() -> None:
    assert orjson.loads(payload(dataclasses.replace(ALERT, badge=0), Shape()))["app_badge"] == 0
    assert "app_badge" not in orjson.loads(payload(dataclasses.replace(ALERT, badge=None), Shape()))


def test_what_has_no_title_and_no_link_gets_those_of_the_app() -> None:
    bare = dataclasses.replace(ALERT, title="", body="", link="", content=Content.ID_ONLY)
    shown = orjson.loads(payload(bare, Shape(title="Neu", link="https://chat.example.com/")))["notification"]
    assert (shown["title"], shown["navigate"]) == ("Neu", "https://chat.example.com/")
    assert "navigate" not in orjson.loads(payload(bare, Shape()))["notification"]


def test_what_was_sealed_is_beside_it() -> None:
    sealed = bytes(range(200))
    message = orjson.loads(payload(dataclasses.replace(ALERT, sealed=sealed, content=Content.ENCRYPTED), Shape()))
    assert base64.urlsafe_b64decode(message["hubbub"]["sealed"] + "==") == sealed
    assert message["hubbub"]["content"] == "encrypted"


def test_what_was_sealed_is_never_cut_and_so_may_be_longer() -> None:
    sealed = dataclasses.replace(ALERT, sealed=bytes(2103), content=Content.ENCRYPTED)
    assert 2500 < len(payload(sealed, Shape())) <= MAX_PLAINTEXT_BYTES
    with pytest.raises(TooLong):
        payload(dataclasses.replace(ALERT, sealed=bytes(3000)), Shape())


def test_the_body_is_cut_before_the_title() -> None:
    encoded = payload(dataclasses.replace(ALERT, body="ä" * 5000), Shape())
    assert 2490 < len(encoded) <= 2500
    shown = orjson.loads(encoded)["notification"]
    assert shown["title"] == "Ann"
    assert shown["body"].endswith("ä…")
    shown = orjson.loads(payload(dataclasses.replace(ALERT, title="ü" * 5000, body="x" * 5000), Shape()))[
        "notification"
    ]
    assert shown["title"].endswith("ü…")
    assert shown["body"] == ""


@pytest.mark.parametrize("max_bytes", [0, MAX_PLAINTEXT_BYTES + 1])
def test_no_shape_is_longer_than_can_be_sealed(max_bytes: int) -> None:
    with pytest.raises(ValueError):
        Shape(max_bytes=max_bytes)


@given(title=TEXTS, body=TEXTS, times=st.integers(1, 2000), max_bytes=st.integers(800, MAX_PLAINTEXT_BYTES))
@example(title="", body="\x00", times=2000, max_bytes=2500)
@example(title="😀" * 2000, body="\\", times=2000, max_bytes=2500)
def test_it_is_never_longer_than_it_may_be_and_always_has_a_title(
    title: str, body: str, times: int, max_bytes: int
) -> None:
    encoded = payload(dataclasses.replace(ALERT, title=title, body=body * times), Shape(max_bytes=max_bytes))
    assert len(encoded) <= max_bytes
    shown = orjson.loads(encoded)["notification"]
    assert shown["title"]
    assert shown["body"] == body * times or shown["body"] == "" or (body * times).startswith(shown["body"][:-1])


@given(text=TEXTS, max_bytes=st.integers(0, 60))
def test_a_cut_is_the_longest_beginning_that_fits(text: str, max_bytes: int) -> None:
    short = cut(text, max_bytes)
    assert len(orjson.dumps(short)) - 2 <= max(max_bytes, 0)
    assert short == text or short == "" or (short.endswith("…") and text.startswith(short[:-1]))


@pytest.mark.parametrize(
    ("text", "max_bytes", "short"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc…"),
        ("abcd", 3, ""),
        ("äöüß", 7, "äö…"),
        ("äöüß", 6, "ä…"),
        ('a"b"c"d"', 8, 'a"b…'),
        ("ab cdefgh", 6, "ab…"),
        ("ae\u0301abcdef", 5, "a…"),
        ("a👨‍👩‍👧 and more", 16, "a…"),
        ("a👍🏽 and more", 8, "a…"),
        ("a👍🏽 and more", 12, "a👍🏽…"),
    ],
)
def test_a_cut_is_between_what_is_seen_as_one(text: str, max_bytes: int, short: str) -> None:
    assert cut(text, max_bytes) == short
