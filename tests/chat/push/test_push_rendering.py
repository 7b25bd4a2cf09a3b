"""What a person reads: names, counts and the last text, as much as the content mode allows, never half a character."""

import re
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.push.ports import Message, Unread
from chat.push.rendering import RenderingSettings, Sealed, Telling, collapse_id, cut, job_id, render
from chat.push.sending import Content, Kind, WebKeys
from storage.model import ConversationKind

C = "c" * 26
HELLO = Message(5, 1_000, "bob", "Bob", "hello")
AGAIN = Message(7, 2_000, "eve", "Eve", "are you there?")
DIRECT = Unread("ada", C, ConversationKind.DIRECT, "", 2, True, 4, (HELLO,), badge=3)
GROUP = replace(DIRECT, kind=ConversationKind.GROUP, title="Trip to Rome", members_count=5, messages=(HELLO, AGAIN))
KEYS = WebKeys(b"k" * 65, b"a" * 16)


def telling(unread: Unread = GROUP, content: Content = Content.FULL, kind: Kind = Kind.ALERT) -> Telling:
    return Telling("phone", kind, unread, unread.messages, unread.messages[-1].offset, content)


@pytest.mark.parametrize(
    ("unread", "content", "title", "body"),
    [
        (DIRECT, Content.FULL, "Bob", "hello"),
        (replace(GROUP, messages=(HELLO,)), Content.FULL, "Trip to Rome", "Bob: hello"),
        (GROUP, Content.FULL, "Trip to Rome", "2 new messages\nEve: are you there?"),
        (DIRECT, Content.SENDER_ONLY, "Bob", "New message"),
        (GROUP, Content.SENDER_ONLY, "Eve", "2 new messages"),
        (GROUP, Content.GENERIC, "New message", "You have new messages"),
        (GROUP, Content.ID_ONLY, "New message", "You have new messages"),
        (replace(DIRECT, messages=(replace(HELLO, name="", text=""),)), Content.FULL, "Somebody", "Attachment"),
        (replace(GROUP, title="", messages=(HELLO,)), Content.FULL, "Bob", "Bob: hello"),
    ],
)
def test_it_says_as_much_as_the_mode_allows(unread: Unread, content: Content, title: str, body: str) -> None:
    told = render(telling(unread, content))
    assert (told.title, told.body) == (title, body)
    assert (told.badge, told.content, told.conversation) == (3, content, C)
    assert told.actions is (content in {Content.FULL, Content.SENDER_ONLY})


def test_more_than_was_read_is_said_to_be_more() -> None:
    assert render(replace(telling(), more=True)).body.startswith("2+ new messages\n")
    one = replace(telling(replace(GROUP, messages=(HELLO,))), more=True)
    assert render(one).body == "1+ new messages\nBob: hello"


@pytest.mark.parametrize("content", [Content.GENERIC, Content.ID_ONLY, Content.ENCRYPTED])
def test_a_mode_that_says_nothing_says_nothing(content: Content) -> None:
    told = render(telling(content=content), seal=lambda keys, text: b"sealed")
    for secret in ("Bob", "Eve", "hello", "there", "Rome"):
        assert secret not in f"{told.title} {told.body}"


def test_what_is_encrypted_is_everything_and_only_for_the_device() -> None:
    plain = []

    def seal(keys: WebKeys, text: bytes) -> bytes:
        assert keys is KEYS
        plain.append(msgspec.json.decode(text, type=Sealed))
        return b"sealed"

    encrypted = replace(telling(content=Content.ENCRYPTED), content_keys=KEYS)
    told = render(encrypted, seal=seal)
    assert (told.sealed, told.content, told.title) == (b"sealed", Content.ENCRYPTED, "New message")
    assert plain == [Sealed("Trip to Rome", "2 new messages\nEve: are you there?", "eve", C, 7, 2)]
    for without in (render(encrypted), render(replace(encrypted, content_keys=None), seal=seal)):
        assert (without.sealed, without.content) == (None, Content.GENERIC)


@given(st.text(max_size=3000), st.integers(0, 900))
def test_what_is_sealed_fits(text: str, extra: int) -> None:
    sizes = []

    def seal(_keys: WebKeys, plain: bytes) -> bytes:
        sizes.append(len(plain))
        return plain

    unread = replace(DIRECT, messages=(replace(HELLO, text=text),))
    one = replace(telling(unread, Content.ENCRYPTED), content_keys=KEYS)
    render(one, RenderingSettings(sealed_bytes=300 + extra), seal)
    assert sizes[0] <= 300 + extra


def test_the_same_is_sent_again_under_the_same_ids_and_a_newer_one_replaces_it() -> None:
    first, newer = render(telling(replace(GROUP, messages=(HELLO,)))), render(telling())
    assert first == render(telling(replace(GROUP, messages=(HELLO,))))
    assert first.job_id != newer.job_id
    assert first.collapse_id == newer.collapse_id


def test_ids_have_the_form_that_every_provider_takes_and_say_nothing() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", collapse_id("prod", C))
    assert collapse_id("prod", C) != collapse_id("test", C)
    one = telling()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", job_id("prod", one))
    others = [replace(one, device="tablet"), replace(one, upto=8), replace(one, kind=Kind.QUIET)]
    assert len({job_id("prod", each) for each in (one, *others, replace(one, revision=1))}) == 5


def test_a_clearing_has_a_badge_and_no_text() -> None:
    clear = render(Telling("phone", Kind.CLEAR, GROUP, (), 7, Content.FULL))
    assert (clear.title, clear.body, clear.badge, clear.sound, clear.actions) == ("", "", 3, False, False)


@pytest.mark.parametrize(
    ("unread", "group"),
    [
        (DIRECT, "direct"),
        (GROUP, "group"),
        (replace(GROUP, messages=(replace(HELLO, mentions=True), AGAIN)), "mention"),
    ],
)
def test_it_names_its_class_and_its_link(unread: Unread, group: str) -> None:
    told = render(telling(unread), RenderingSettings(link="https://chat.example/c/{conversation}"))
    assert (told.group, told.link) == (group, f"https://chat.example/c/{C}")


def test_long_texts_are_cut() -> None:
    long = replace(DIRECT, messages=(replace(HELLO, name="n" * 500, text="é" * 900),))
    told = render(telling(long))
    assert (len(told.title.encode()), told.title[-1]) == (200, "…")
    assert (len(told.body.encode()), told.body[-2:]) == (999, "é…")


@pytest.mark.parametrize(
    ("text", "max_bytes", "kept"),
    [
        ("hello", 5, "hello"),
        ("hello!", 5, "he…"),
        ("a\U0001f44b\U0001f3fd!!!!!!", 9, "a…"),
        ("a\U0001f468\u200d\U0001f469\u200d\U0001f467", 15, "a…"),
        ("cafe\u0301 noir", 7, "caf…"),
        ("words and more", 9, "words…"),
        ("hello", 2, ""),
    ],
)
def test_nothing_ends_within_what_is_seen_as_one(text: str, max_bytes: int, kept: str) -> None:
    assert cut(text, max_bytes) == kept


@given(st.text(), st.integers(0, 60))
def test_a_cut_text_fits_and_is_the_beginning(text: str, max_bytes: int) -> None:
    kept = cut(text, max_bytes)
    assert len(kept.encode(errors="replace")) <= max_bytes
    assert kept == text or text.startswith(kept.removesuffix("…"))
