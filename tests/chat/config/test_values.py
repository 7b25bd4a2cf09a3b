"""Secrets that hide, durations and sizes that read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.config.values import Secret, Url, format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("25s", 25),
        ("5m", 300),
        ("300ms", 0.3),
        ("1h30m", 5400),
        ("720h", 2592000),
        ("30d", 2592000),
        ("0", 0),
        ("1.5s", 1.5),
    ],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "25", "s", "-5s", "5 s", "5s 3m", "1e3s", "5sec", "٣s", "1y"])
def test_what_is_not_a_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="25s"):
        parse_duration(text)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_every_whole_millisecond_is_written_and_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


def test_durations_are_written_as_people_write_them() -> None:
    shown = [format_duration(s) for s in (0, 0.3, 25, 60, 90, 5400, 3600, 2592000, 1.5)]
    assert shown == ["0s", "300ms", "25s", "1m", "90s", "90m", "1h", "720h", "1500ms"]


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=2**40))
def test_every_size_is_written_and_read_back(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("text", "size"), [("65536", 65536), ("64KiB", 65536), ("1 MiB", 1048576), ("1gib", 2**30), ("0", 0)]
)
def test_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1MB", "-1", "1.5MiB", "MiB"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64KiB"):
        parse_size(text)


def test_a_secret_is_not_shown_by_any_kind_of_formatting() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret!s} {[secret]} { ({'k': secret}) } {f'{secret}'}"
    assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"


def test_a_secret_matches_only_itself_and_an_empty_one_matches_nothing() -> None:
    assert Secret("key").matches("key")
    assert not Secret("key").matches("kez")
    assert not Secret("key").matches("")
    assert not Secret("").matches("")
    assert not Secret("key").matches("\ud800")


def test_secrets_compare_and_hash_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://user:pw@host/db", "mongodb://user:***@host/db"),
        ("mongodb+srv://user:p%40w@host", "mongodb+srv://user:***@host"),
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://user:p@w@host", "redis://user:***@host"),
        ("redis://host?password=pw&db=1", "redis://host?password=***&db=1"),
        ("mongodb://host1,host2/?replicaSet=rs0", "mongodb://host1,host2/?replicaSet=rs0"),
        ("unix:///tmp/redis.sock", "unix:///tmp/redis.sock"),
    ],
)
def test_a_url_hides_its_password_and_shows_the_rest(url: str, shown: str) -> None:
    assert Url(url).masked == shown
    assert repr(Url(url)) == f"Url({shown!r})"
