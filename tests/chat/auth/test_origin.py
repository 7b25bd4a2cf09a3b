"""Which web pages may connect."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.auth import OriginCheck

HOST = "chat.example.com"


def allows(origin: str, *allowed: str, host: str = HOST) -> bool:
    return OriginCheck(allowed).allows([origin], host=host)


def test_a_native_app_sends_no_origin_and_passes() -> None:
    assert OriginCheck([]).allows([], host=HOST)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://chat.example.com", "chat.example.com"),
        ("https://chat.example.com", "chat.example.com:443"),
        ("http://chat.example.com", "chat.example.com:80"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("HTTPS://Chat.Example.com", "chat.example.COM"),
    ],
)
def test_a_page_of_this_server_passes(origin: str, host: str) -> None:
    assert allows(origin, host=host)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "https://chat.example.com.evil.example",
        "https://evilchat.example.com",
        "https://chat.example.com:8443",
        "https://chat.example.com/",
        "https://chat.example.com@evil.example",
        "https://chat.example.com\n",
        "https://*",
        "file://",
        "chat.example.com",
        "ftp://chat.example.com",
        "https://",
    ],
)
def test_any_other_page_does_not(origin: str) -> None:
    assert not allows(origin)
    assert not allows(origin, "https://app.example.com")


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("https://app.example.com", "https://app.example.com", True),
        ("https://app.example.com", "https://app.example.com:443", True),
        ("https://app.example.com:443", "https://app.example.com", True),
        ("https://App.Example.com/", "https://app.example.com", True),
        ("https://app.example.com", "http://app.example.com", False),
        ("https://app.example.com", "https://appXexample.com", False),
        ("https://app.example.com", "https://app.example.com.evil.example", False),
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://evilexample.com", False),
        ("https://*.example.com", "https://a.example.com:8443", False),
        ("https://*.example.com", "https://evil.example/.example.com", False),
        ("http://localhost:*", "http://localhost:5173", True),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "http://localhost.evil.example:80", False),
        ("capacitor://localhost", "capacitor://localhost", True),
        ("*", "https://evil.example", True),
        ("*", "null", True),
    ],
)
def test_patterns_match_whole_origins(pattern: str, origin: str, allowed: bool) -> None:
    assert allows(origin, pattern) is allowed


def test_two_origins_are_nobodys() -> None:
    assert not OriginCheck(["*"]).allows(["https://a.example", "https://a.example"], host=HOST)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_decided(origin: str, host: str) -> None:
    assert OriginCheck(["https://*.example.com"]).allows([origin], host=host) in (True, False)
