"""Entity tags and compression of answers."""

import gzip

import pytest
from aiohttp import hdrs
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from chat.http.answers import BESIDE_FROM_BYTES, COMPRESS_FROM_BYTES, Encoded, accepts_gzip, json_answer, matches

TAKES_GZIP = make_mocked_request("GET", "/", headers={"Accept-Encoding": "gzip"})


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


@pytest.mark.parametrize("size", [COMPRESS_FROM_BYTES + 1, BESIDE_FROM_BYTES + 1])
async def test_what_is_compressed_is_the_same_for_all_and_says_so(size):
    body = Encoded("x" * size)
    answers = [await json_answer(TAKES_GZIP, one, etag=True, packed=True) for one in (body, body, Encoded("x" * size))]
    assert len({(answer.body, answer.headers[hdrs.ETAG]) for answer in answers}) == 1
    assert gzip.decompress(answers[0].body) == body.data
    assert answers[0].headers[hdrs.CONTENT_ENCODING] == "gzip"
    assert hdrs.ACCEPT_ENCODING in answers[0].headers[hdrs.VARY]
    plain = await json_answer(make_mocked_request("GET", "/"), body, etag=True, packed=True)
    assert plain.body == body.data
    assert plain.headers[hdrs.ETAG] != answers[0].headers[hdrs.ETAG]


@pytest.mark.parametrize(
    ("size", "packed"),
    [
        pytest.param(COMPRESS_FROM_BYTES - 2, True, id="small"),
        pytest.param(10_000, False, id="of-several-audiences"),
    ],
)
async def test_what_is_small_or_may_not_be_is_not_compressed(size, packed):
    answer = await json_answer(TAKES_GZIP, Encoded("x" * size), packed=packed)
    assert hdrs.CONTENT_ENCODING not in answer.headers
    assert len(answer.body) == size + 2


@given(st.text(max_size=60))
def test_no_header_is_a_fault(header):
    matches(header, "abc")
    accepts_gzip(header)
