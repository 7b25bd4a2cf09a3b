"""Every language says everything, in the device's own words if there are any."""

from dataclasses import asdict, replace

import pytest

from chat.config.push import LANGUAGES as CHOICES
from chat.push.ports import Message, Unread
from chat.push.rendering import RenderingSettings, Telling, render
from chat.push.sending import Content, Kind
from chat.push.words import LANGUAGES, attached, words_for
from storage.model import ConversationKind

HELLO = Message(5, 1_000, "bob", "Bob", "hello")


def said(locale: str, content: Content = Content.GENERIC, language: str = "en", **message: str) -> tuple[str, str]:
    told = (replace(HELLO, **message),)  # type: ignore[arg-type]  # texts alone
    unread = Unread("ada", "c" * 26, ConversationKind.DIRECT, "", 2, True, 4, told)
    telling = Telling("phone", Kind.ALERT, unread, told, 5, content, locale=locale)
    notification = render(telling, RenderingSettings(language=language))
    return notification.title, notification.body


def test_the_configuration_offers_the_languages_there_are() -> None:
    assert tuple(sorted(LANGUAGES)) == CHOICES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_word(language: str) -> None:
    words = asdict(LANGUAGES[language])
    assert [name for name, text in words.items() if not text.strip() and name != "few"] == []
    assert [name for name, text in words.items() if "{n}" in text] in (["several"], ["several", "few"])


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE_ch", "de"),
        ("pt-BR", "pt"),
        ("pt-PT", "pt-pt"),
        ("pt-PT-x-private", "pt-pt"),
        ("es-419", "es"),
        ("ja-Latn-JP", "ja"),
        ("eo", "fr"),
        ("", "fr"),
        ("-", "fr"),
    ],
)
def test_a_device_is_told_in_the_language_of_its_locale_or_in_the_operators(locale: str, language: str) -> None:
    assert words_for(locale, "fr") is LANGUAGES[language]


def test_what_says_nothing_says_so_in_the_devices_language() -> None:
    assert said("de-DE") == ("Neue Nachricht", "Du hast neue Nachrichten")
    assert said("", language="nl") == ("Nieuw bericht", "Je hebt nieuwe berichten")
    assert said("fr-CA", Content.SENDER_ONLY) == ("Bob", "Nouveau message")
    assert said("it", Content.FULL, name="", text="") == ("Qualcuno", "Allegato")
    assert said("it", Content.FULL, text="", attached="photo") == ("Bob", "Foto")


@pytest.mark.parametrize(
    ("n", "text"),
    [(2, "2 nowe wiadomości"), (5, "5 nowych wiadomości"), (13, "13 nowych wiadomości"), (24, "24 nowe wiadomości")],
)
def test_a_plural_is_that_of_the_number(n: int, text: str) -> None:
    assert LANGUAGES["pl"].count(n, more=False) == text
    assert LANGUAGES["en"].count(n, more=True) == f"{n}+ new messages"


def test_an_attachment_is_what_a_person_calls_it() -> None:
    assert [attached(one) for one in ("image/png", "video/mp4", "audio/ogg", "application/pdf", "")] == [
        "photo",
        "video",
        "audio",
        "file",
        "file",
    ]
