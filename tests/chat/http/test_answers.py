"""Entity tags and compression of answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.http.answers import accepts_gzip, matches


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"abc-gzip"', True),
        ('"x", "abc"', True),
        ("*", True),
        ("abc", False),
        ('"abcd"', False),
    ],
)
def test_if_none_match(header, expected):
    assert matches(header, "abc") is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("br, zstd", False),
        ("xgzip", False),
    ],
)
def test_accept_encoding(header, expected):
    assert accepts_gzip(header) is expected


@given(st.text(max_size=60))
def test_no_header_is_a_fault(header):
    matches(header, "abc")
    accepts_gzip(header)
